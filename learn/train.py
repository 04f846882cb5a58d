"""Train a surrogate on a labelled dataset, from reading the units to the finished folder."""

import os
import shutil
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from homog.dataset import Dataset
from homog.errors import ParameterError, naming
from homog.files import make_folder, write_atomically
from homog.shards import locked
from learn.calibration import Calibration, Known, calibrate
from learn.data import PARTS, training_data, with_extra
from learn.framework import Framework, Weights
from learn.progressive import HISTORY, History, Progressive
from learn.surrogate import DESCRIPTION, Surrogate
from learn.training import Trainer, latent_means

CHECKPOINTS = "checkpoints"
CURVES = "curves.csv"
LOCK = "lock"
KNOWN = 16000  # training units that distances are told from: 1 MB in half precision


@dataclass(frozen=True)
class Devices:
    """Where training runs.

    Parameters
    ----------
    devices, nodes : int
        Processes on each machine, and machines; more than one train side by side (DDP).
    precision : str
        Of ``lightning_fabric.Fabric``; "auto" is bfloat16 on a GPU that has it, else float32.
    deterministic : bool
        Whether the same run gives the same digits on a GPU too, at some cost.
    """

    devices: int = 1
    nodes: int = 1
    precision: str = "auto"
    deterministic: bool = False

    def launch(self):
        """A ``Fabric`` that is ready; with several devices this starts the other processes."""
        precision = self.precision
        if precision == "auto":
            cuda = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
            precision = "bf16-mixed" if cuda else "32-true"
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        several = self.devices * self.nodes > 1
        fabric = Fabric(
            accelerator="auto", devices=self.devices, num_nodes=self.nodes, precision=precision,
            strategy="ddp" if several else "auto",
        )  # fmt: skip
        fabric.launch()
        return fabric


def train(
    path, folder, plan, selection, fabric, tell=None, base=None, half=False, force=False, extra=()
):
    """Train a surrogate; continues where an interrupted run stopped.

    Parameters
    ----------
    path : str or Path
        Labelled dataset of cubic cells.
    folder : str or Path
        Of the surrogate; made if it is not there.
    plan : Plan
    selection : Selection
    fabric : lightning_fabric.Fabric
        Launched, see ``Devices``.
    tell : object, optional
        ``tell.estimate(seconds, epochs)`` is called before the work, ``tell.epoch(phase, row)``
        after each epoch, and ``tell.phase(record)`` after each phase.
    base : Surrogate, optional
        Its autoencoder stays, only a predictor is trained.
    half : bool
        Whether to store the weights in half precision.
    force : bool
        Whether to start again where the folder holds a surrogate or another training.
    extra : sequence of str or Path
        Labelled datasets whose units all train, and judge nothing.

    Returns
    -------
    Surrogate

    Raises
    ------
    ParameterError, DataError
        If the dataset cannot train it, or the folder holds another training.
    """
    folder = Path(folder)
    with naming(path), Dataset(path) as dataset:
        architecture = replace(plan.architecture, octant=dataset.stored_shape[0])
        data = training_data(dataset, selection, architecture)
    data = with_extra(data, extra, selection, architecture)
    plan = replace(
        plan, architecture=architecture, scatter=data.scatter is not None,
        predictor=replace(plan.predictor, targets=len(selection.targets)),
        optimiser=replace(plan.optimiser, keep_positive=selection.keep_positive),
    )  # fmt: skip
    if base and replace(base.architecture, latent=plan.latents[0]) != replace(
        architecture, latent=plan.latents[0]
    ):
        raise ParameterError("the autoencoder to keep is of another architecture; name the same")
    refuse(folder, force)
    with prepared(folder, force) if fabric.is_global_zero else nullcontext():
        fabric.barrier()
        origin = {**data.origin, "targets": list(selection.targets), "split seed": selection.seed}
        history = History(folder, plan.key({**origin, "base": base and base.origin}))
        progress = tell.epoch if tell else None
        trainer = Trainer(fabric, data, plan.optimiser, folder / CHECKPOINTS, progress)
        if tell and fabric.is_global_zero:
            tell.estimate(*estimate(trainer, plan, history, base))
        framework = Progressive(plan, trainer, history, base, tell).run()
        surrogate = finished(framework.to(fabric.device), data, selection, origin).to("cpu")
        if fabric.is_global_zero:
            surrogate.notes |= {"chosen": history.content["chosen"]}
            surrogate.save(folder, half)
            write_atomically(folder / CURVES, curves(history.content).encode())
            clear(folder / CHECKPOINTS)
        fabric.barrier()
    return surrogate


def refuse(folder, force):
    """Refuse a folder that cannot be one, or that holds a finished training.

    Raises
    ------
    ParameterError
        If it is a file, or the training is not to be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: expected a folder to write, got a file; name another")
    finished = (folder / DESCRIPTION).exists() and not (folder / CHECKPOINTS).exists()
    if finished and not force:
        raise ParameterError(f"{folder}: holds a surrogate already; use --force to replace it")


@contextmanager
def prepared(folder, force):
    """Make the folder of a training, and keep other trainings out of it.

    With force nothing is left of an earlier one to go on with.

    Raises
    ------
    ParameterError
        If it cannot be made, or another process trains there.
    """
    checkpoints = folder / CHECKPOINTS
    make_folder(folder, parents=True)
    make_folder(checkpoints)
    with locked(checkpoints / LOCK):
        if force:
            for path in (folder / HISTORY, *checkpoints.glob("*.safetensors")):
                path.unlink(missing_ok=True)
        yield


def clear(folder):
    """Remove the checkpoints of a training that is finished: it is once their folder is gone."""
    finished = folder.with_name(f"{folder.name}.finished")
    shutil.rmtree(finished, ignore_errors=True)  # of a run that was killed here
    folder.rename(finished)
    shutil.rmtree(finished)


def estimate(trainer, plan, history, base=None):
    """Seconds that a training takes at most, from a few timed steps, and its epochs.

    Phases end sooner when they stop improving; those that are done already do not count.
    """
    joint, alone = (0, plan.epochs["predictor"]) if base else plan.total_epochs()
    for record in history.content["phases"]:
        if record["name"] == "predictor":
            alone = 0
        else:
            joint -= record["epochs"]
    batch, training = plan.optimiser.batch, trainer.data.members("training")
    auxetic = trainer.data.auxetic[training].mean()
    share = auxetic + (1 - auxetic) * plan.optimiser.keep_positive
    architecture = replace(plan.architecture, latent=plan.latents[-1])
    framework = Framework(architecture, plan.predictor, plan.scatter)
    chosen = torch.arange(min(batch, len(trainer.data.seen)))
    framework = framework.to(trainer.fabric.device)
    adam = torch.optim.Adam(framework.parameters())
    z = torch.zeros(len(chosen), architecture.latent)
    judged = 0.3 * len(trainer.data.members("validation")) / len(chosen)
    steps, seconds = share * len(training) / batch + judged, 0.0
    for epochs, of in ((joint, None), (alone, z)):
        seconds += max(epochs, 0) * steps * _step_seconds(trainer, framework, adam, chosen, of)
    return seconds, max(joint, 0) + alone


def _step_seconds(trainer, framework, adam, chosen, z):
    """Seconds that a step takes, of all, or of the predictor alone at latent vectors."""

    def step():
        terms = framework(trainer.units(chosen, z), Weights(1.0, 1e-5, 1e-3))
        adam.zero_grad()
        terms["total"].backward()
        adam.step()
        return terms["total"].item()

    step()
    start = time.perf_counter()
    for _ in range(3):
        step()
    return (time.perf_counter() - start) / 3


def finished(framework, data, selection, origin):
    """A surrogate of a trained framework: its predictor fitted, its uncertainty recalibrated.

    Parameters
    ----------
    framework : Framework
    data : TrainingData
    selection : Selection
    origin : dict

    Returns
    -------
    Surrogate
    """
    framework, device = framework.eval(), next(framework.parameters()).device
    training, validation = data.members("training"), data.members("validation")
    z = latent_means(framework, data.seen[training])
    with torch.no_grad():
        framework.predictor.cpu().fit(z, data.standardised()[0][training])
    framework.to(device)
    none = Calibration.none(len(selection.targets))
    surrogate = Surrogate(framework, selection.targets, data.scaler, none, origin)
    sampled = surrogate.sampled_octants(data.octants(validation, framework.vae.domain))
    found = surrogate.predictions(sampled, calibrated=False)
    mean, total = (
        np.column_stack([getattr(found[name], part) for name in selection.targets])
        for part in ("mean", "total")
    )
    *_, center = sampled
    known = Known.of(some_latent(framework, data.seen[training]), center)
    surrogate.calibration = calibrate(data.observed[validation], mean, total, center, known)
    surrogate.notes["units"] = {name: len(data.members(name)) for name in PARTS}
    return surrogate


def some_latent(framework, seen):
    """Latent vectors of some units, half of them after a shift by half a cell, (k, latent)."""
    some = torch.from_numpy(np.random.default_rng(0).permutation(len(seen))[:KNOWN])
    halves = some.split(-(-len(some) // 2))
    parts = [latent_means(framework, seen[h], bool(i)) for i, h in enumerate(halves)]
    return torch.cat(parts).numpy()


def curves(history):
    """Losses of all phases, epoch by epoch, as the text of a CSV file."""
    rows = [{"phase": r["name"], **row} for r in history["phases"] for row in r["curves"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [",".join(names)]
    lines += [",".join(_cell(row.get(name)) for name in names) for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value):
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
