"""Commands for surrogates: train, evaluate, interpolate. Torch is imported when one runs."""

import sys
from contextlib import contextmanager

import click

from homog.errors import DataError, HomogError
from homog.terminal import (
    FORCE,
    OUTPUT,
    PATH,
    THREADS,
    check_ending,
    comma_separated,
    counter,
    needs_extra,
    resumable,
    show,
)

PICTURES = ("distribution", "parity", "reliability", "convergence", "reconstructions", "cases")


def _numbers(context, parameter, text):
    """Positive numbers separated by commas."""
    numbers = comma_separated(text, int)
    if not numbers or min(numbers) < 1:
        raise click.BadParameter(f"expected numbers like 32 or 16,32,64; got {text!r}")
    return numbers


TRAIN_EXAMPLES = """\b
Examples:
  homog train labelled.h5 -o model/
  homog train labelled.h5 -o model/ --targets E,nu,K --latent 16,32,64
  homog train labelled.h5 -o ensemble/ --predictor ensemble --vae model/
"""


@click.command(epilog=TRAIN_EXAMPLES)
@click.argument("dataset", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="Folder to write.")
@click.option(
    "--preset",
    type=click.Choice(["fast", "paper"]),
    default="fast",
    show_default=True,
    help="Autoencoder: made for a CPU, or the convolutions of the publication.",
)
@click.option(
    "--predictor",
    type=click.Choice(["mdn", "deterministic", "ensemble", "mc-dropout", "laplace"]),
    default="mdn",
    show_default=True,
    help="Predictor of the properties.",
)
@click.option("--targets", default="E,nu", show_default=True, help="Labels to learn.")
@click.option(
    "--latent",
    default="32",
    show_default=True,
    callback=_numbers,
    help="Latent size, or several to choose from.",
)
@click.option("--components", type=click.IntRange(1, 64), default=1, help="Gaussians of mdn.")
@click.option(
    "--members", type=click.IntRange(1, 256), default=5, help="Of ensemble, mc-dropout, laplace."
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Of the first phase, at most; the others have fewer or more in proportion.",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=128, show_default=True, help="Units a step."
)
@click.option(
    "--keep-positive",
    type=float,
    default=0.6,
    show_default=True,
    help="Share of the units with positive Poisson's ratio that each epoch uses.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--extra",
    type=PATH,
    multiple=True,
    help="Labelled dataset whose units all train and judge nothing; may be repeated.",
)
@click.option("--vae", type=PATH, help="Surrogate whose autoencoder stays as it is.")
@click.option(
    "--scratch",
    nargs=2,
    type=click.FloatRange(min=0),
    metavar="KL REGRESSION",
    help="Train in one phase from scratch with these weights of the loss.",
)
@click.option("--devices", type=click.IntRange(min=1), default=1, help="Devices a machine (DDP).")
@click.option("--nodes", type=click.IntRange(min=1), default=1, help="Machines (DDP).")
@click.option(
    "--precision",
    type=click.Choice(["auto", "32-true", "bf16-mixed", "16-mixed"]),
    default="auto",
    help="Of the arithmetic.",
)
@click.option("--deterministic", is_flag=True, help="Same digits every time on a GPU too.")
@click.option("--half", is_flag=True, help="Store the weights in half precision.")
@THREADS
@FORCE
def train(dataset, output, force, extra, **options):
    """Train a surrogate on a labelled dataset, into a folder.

    The same command continues where an interrupted training stopped.
    """
    with needs_learn():
        from learn.train import Devices, train

    selection, plan, where = _training(options)
    threads, vae, half = (options.pop(name) for name in ("threads", "vae", "half"))
    use_threads(threads)
    base = surrogate_of(vae) if vae else None
    fabric = Devices(**where).launch()
    with one_voice(fabric.is_global_zero), training_bar(fabric.is_global_zero) as tell:
        surrogate = train(dataset, output, plan, selection, fabric, tell, base, half, force, extra)
    if fabric.is_global_zero:
        draw_curves(output)
        show(f"{output}: surrogate of {', '.join(surrogate.targets)}; see homog evaluate")


def draw_curves(folder):
    """Picture of the losses over the epochs, where pictures can be drawn."""
    from pathlib import Path

    from learn.progressive import HISTORY, read_history

    try:
        from homog.view import save_figure
        from learn.plots import training_curves
    except ModuleNotFoundError:  # the extra view is not needed to train
        return
    history = read_history(Path(folder) / HISTORY)
    save_figure(training_curves(history), Path(folder) / "curves.png")


def _training(options):
    """Selection, plan and devices that the options of ``train`` mean."""
    from learn.data import Selection
    from learn.framework import Weights
    from learn.networks import Architecture
    from learn.predictors import HIDDEN, PredictorSettings
    from learn.progressive import Plan, default_epochs
    from learn.training import Optimiser

    targets = tuple(options["targets"].split(","))
    selection = Selection(targets, options["seed"], options["keep_positive"])
    architecture = Architecture(options["preset"], options["latent"][0])
    predictor = PredictorSettings(
        options["predictor"],
        len(targets),
        HIDDEN[options["preset"]],
        components=options["components"],
        members=options["members"],
    )
    scratch = options["scratch"]
    plan = Plan(
        architecture,
        predictor,
        options["latent"],
        default_epochs(options["epochs"]),
        Optimiser(options["batch"], seed=options["seed"]),
        Weights(1.0, *scratch) if scratch else None,
    )
    where = {name: options[name] for name in ("devices", "nodes", "precision", "deterministic")}
    return selection, plan, where


@contextmanager
def one_voice(speaks):
    """Of several processes that meet an error, one says it."""
    try:
        yield
    except HomogError as error:
        if speaks:
            raise
        sys.exit(error.exit_code)


def needs_learn():
    """Say how to install what is missing."""
    return needs_extra("learn")


def use_threads(threads):
    """Let torch use so many threads, or all processors."""
    import torch

    from homog.threads import available_threads

    torch.set_num_threads(threads or available_threads())


def surrogate_of(path):
    """The surrogate in a folder, or the one that comes with the package."""
    from learn.surrogate import Surrogate

    return Surrogate.load(None if path == "default" else path)


def on_accelerator(surrogate):
    """The surrogate on a GPU, if there is one."""
    import torch

    return surrogate.to("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def training_bar(shown):
    """Yield what ``learn.train.train`` tells of its progress: a bar, and a line for each phase."""
    from tqdm import tqdm

    with tqdm(desc="epochs", leave=False, disable=None if shown else True) as bar:
        tell = _Tell(bar, shown)
        with resumable():
            yield tell


class _Tell:
    """Estimate before the work, and a line for each phase."""

    def __init__(self, bar, shown):
        self.bar, self.shown = bar, shown

    def estimate(self, seconds, epochs):
        from homog.labelling import duration

        self.bar.reset(epochs)
        if self.shown:
            click.echo(f"homog: {epochs} epochs, about {duration(seconds)} at most", err=True)

    def epoch(self, phase, row):
        self.bar.update()
        self.bar.set_postfix(phase=phase.name, loss=f"{row['validation total']:.4g}")

    def phase(self, record):
        if self.shown:
            from learn.progressive import phase_line

            with self.bar.external_write_mode():
                click.echo(phase_line(record), err=True)


@click.command(epilog="\b\nExample:\n  homog evaluate model/ labelled.h5 -o evaluation/\n")
@click.argument("model", type=PATH)
@click.argument("dataset", type=PATH)
@click.option("-o", "--output", type=PATH, help="Folder for pictures and numbers.")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=80,
    show_default=True,
    help="Points of the latent space for each unit.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@THREADS
def evaluate(model, dataset, output, samples, as_json, threads):
    """Judge a surrogate: accuracy and uncertainty, beside the publication's.

    MODEL is a folder of homog train, or "default" for the surrogate that comes with the package.
    With -o also where the units and the errors lie, parity plots with error bars, reliability
    curves, the best and worst reconstructions and the convergence over the samples.
    """
    import json

    from homog.files import make_folder

    with needs_learn():
        from learn.evaluation import Evaluation, table

        if output:
            import learn.plots  # noqa: F401 (what is missing is said before the work)
        use_threads(threads)
    surrogate = on_accelerator(surrogate_of(model))
    if output:
        make_folder(output)
    with counter("parts", 3) as progress:
        evaluation = Evaluation(surrogate, dataset, samples, progress)
    summary = evaluation.summary()
    if output:
        with counter("pictures", len(PICTURES)) as progress:
            write_evaluation(evaluation, summary, output, progress)
    deterministic = surrogate.framework.settings.kind == "deterministic"
    show(json.dumps(summary) if as_json else table(summary, deterministic))


def write_evaluation(evaluation, summary, folder, progress):
    """Pictures and numbers of an evaluation, into a folder."""
    import json
    from pathlib import Path

    from homog.files import write_atomically
    from homog.view import save_figure
    from learn import plots

    target = evaluation.main_target
    content = {**summary, f"cases of {target}": evaluation.cases(target)}
    write_atomically(Path(folder) / "evaluation.json", json.dumps(content, indent=1).encode())
    for name in PICTURES:
        save_figure(getattr(plots, name)(evaluation), Path(folder) / f"{name}.png")
        progress()


INTERPOLATE_EXAMPLE = (
    "\b\nExample:\n  homog interpolate default examples/units/octet.npy examples/units/bcc.npy "
    "-o morph.png\n"
)


@click.command(epilog=INTERPOLATE_EXAMPLE)
@click.argument("model", type=PATH)
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("--steps", type=click.IntRange(min=2), default=9, show_default=True)
@OUTPUT
@FORCE
def interpolate(model, first, second, steps, output, force):
    """Picture of the units between two units: points on the arc between their latent vectors.

    MODEL is a folder of homog train, or "default". Units that do not hold together are marked.
    """
    from homog.files import check_output

    with needs_learn():
        from homog.view import save_figure
        from learn.interpolation import morph
        from learn.plots import morphing

    check_ending(output, ".png")
    check_output(output, force)
    surrogate = on_accelerator(surrogate_of(model))
    octants = [_octant(path, surrogate.architecture.octant) for path in (first, second)]
    found = morph(surrogate, *octants, steps)
    save_figure(morphing(found), output)
    rows = [f"{'t':>6}{'density':>10}  state"]
    rows += [f"{s.t:>6.2f}{s.voxels.mean():>10.4f}  {s.fault or 'connected'}" for s in found]
    show("\n".join(rows))


def _octant(path, size):
    """Octant of the cell in a file."""
    from homog.cell import validated_voxels
    from homog.errors import naming
    from homog.formats import read_array
    from homog.packing import CUBIC
    from homog.symmetry import symmetry

    with naming(path):
        voxels = validated_voxels(read_array(path))
        if voxels.shape != (2 * size,) * 3:
            raise DataError(f"expected {2 * size} voxels along each edge, got {voxels.shape}")
        if symmetry(voxels).order != CUBIC:
            raise DataError("not a cubic cell; a surrogate knows cubic cells only")
    return voxels[:size, :size, :size]


LEARN_COMMANDS = (train, evaluate, interpolate)
