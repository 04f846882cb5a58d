"""Commands for surrogates: what they print and write, and what they refuse."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import get_context

import click
import numpy as np
import pytest
import torch
import toys
from conftest import ROOT, assert_refused
from PIL import Image
from safetensors.torch import load

from homog import cli, learn_commands
from homog.learn_commands import LEARN_COMMANDS
from homog.units.family import unfold
from learn import evaluation, networks, plots, predictors, progressive, surrogate, training
from learn.evaluation import Evaluation, table
from learn.networks import Architecture
from learn.progressive import STEPS, read_history
from learn.surrogate import Surrogate

QUICK = ("--scratch", "1e-4", "0.1", "--epochs", "1", "--latent", "3", "--threads", "1")
DRAW_CURVES = learn_commands.draw_curves
NAMES = [command.name for command in LEARN_COMMANDS]


@pytest.fixture(autouse=True)
def one_thread():
    """Commands set the threads of torch for good; digits of other tests depend on them."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Networks of the command line are small, all phases as long, and curves are not drawn."""
    monkeypatch.setattr(learn_commands, "draw_curves", lambda folder: None)
    monkeypatch.setattr(progressive, "default_epochs", lambda epochs: dict.fromkeys(STEPS, epochs))
    monkeypatch.setattr(networks, "Architecture", partial(Architecture, width=24, depth=1))
    monkeypatch.setattr(predictors, "HIDDEN", {"fast": (16, 8), "paper": (16, 8)})


@pytest.fixture
def units(tmp_path):
    """Files of the whole cells of two toy units."""
    for name, octant in zip("ab", toys.octants()[0][:2], strict=True):
        np.save(tmp_path / f"{name}.npy", unfold(octant))
    return tmp_path / "a.npy", tmp_path / "b.npy"


def test_train_writes_a_surrogate_and_tells_of_its_way(run, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(learn_commands, "draw_curves", DRAW_CURVES)
    folder = tmp_path / "model"
    code, out, err = run("train", labelled, "-o", folder, *QUICK)
    assert code == 0
    assert out == f"{folder}: surrogate of E, nu; see homog evaluate\n"
    lines = err.splitlines()
    assert re.fullmatch(r"homog: 2 epochs, about .+ at most", lines[0])
    assert [line.split()[:3] for line in lines[1:]] == [
        ["scratch", "1", "epochs"],
        ["predictor", "1", "epochs"],
    ]
    record = read_history(folder / "history.json")["phases"][0]
    assert f"reconstruction {record['validation reconstruction']:.4g}" in lines[1]
    made = Surrogate.load(folder)
    assert made.targets == ("E", "nu")
    assert made.framework.settings.kind == "mdn"
    assert Image.open(folder / "curves.png").size[0] > 300
    with open(folder / "curves.csv", newline="") as file:
        rows = [(row["phase"], row["epoch"]) for row in csv.DictReader(file)]
    assert rows == [("scratch", "1"), ("predictor", "0"), ("predictor", "1")]


def test_options_of_train_reach_the_training(run, labelled, tmp_path):
    folder = tmp_path / "model"
    options = ["--targets", "nu,K", "--predictor", "ensemble", "--members", "3", "--seed", "7"]
    options += ["--batch", "32", "--keep-positive", "0.5", "--half", "--epochs", "2"]
    assert run("train", labelled, "-o", folder, *QUICK, *options)[0] == 0
    made = Surrogate.load(folder)
    assert made.targets == ("nu", "K")
    assert len(made.framework.predictor.members) == 3
    assert made.origin["split seed"] == 7
    assert [r["epochs"] for r in read_history(folder / "history.json")["phases"]] == [2, 2]
    stored = load((folder / "weights.safetensors").read_bytes())
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_extra_units_reach_the_training(run, labelled, tmp_path):
    paths = [toys.write_labelled(tmp_path / f"{count}.h5", count) for count in (30, 40)]
    options = [option for path in paths for option in ("--extra", path)]
    assert run("train", labelled, "-o", tmp_path / "model", *QUICK, *options)[0] == 0
    assert len(Surrogate.load(tmp_path / "model").origin["extra"]) == 2
    code, _, err = run("train", labelled, "-o", tmp_path / "m", *QUICK, "--extra", tmp_path / "no")
    assert code == 2
    assert str(tmp_path / "no") in err


def test_train_without_weights_is_progressive(run, labelled, tmp_path):
    folder = tmp_path / "model"
    options = ("--latent", "2,3", "--epochs", "1", "--threads", "1")
    assert run("train", labelled, "-o", folder, *options)[0] == 0
    chosen = read_history(folder / "history.json")["chosen"]
    assert chosen["latent"]["phase"] in ("latent-2", "latent-3")
    assert chosen["regression"]["phase"].startswith("regression-")
    assert Surrogate.load(folder).notes["chosen"] == chosen


def test_train_starts_again_only_by_force(run, labelled, tmp_path):
    command = ("train", labelled, "-o", tmp_path / "model", *QUICK)
    assert run(*command)[0] == 0
    assert_refused(run(*command), 2, "model: holds a surrogate already; use --force")
    other = (*command, "--seed", "1")
    assert run(*other, "--force")[0] == 0
    assert Surrogate.load(tmp_path / "model").origin["split seed"] == 1


def test_train_keeps_the_autoencoder_of_another_surrogate(
    run, labelled, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(learn_commands, "draw_curves", DRAW_CURVES)
    folder = tmp_path / "other"
    command = ("train", labelled, "-o", folder, "--vae", model, "--predictor", "laplace", *QUICK)
    assert run(*command)[0] == 0
    made, base = Surrogate.load(folder), Surrogate.load(model)
    octants = toys.octants()[0][:9]
    assert np.array_equal(made.encode(octants), base.encode(octants))
    assert [r["name"] for r in read_history(folder / "history.json")["phases"]] == ["predictor"]


LONG = (*QUICK, "--epochs", "25", "--predictor", "deterministic")


@pytest.fixture(scope="module")
def undisturbed():
    """Histories and weights of the first run of what ``LONG`` says."""
    return {}


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_train_goes_on_after_a_signal(sent, run, labelled, undisturbed, tmp_path, monkeypatch):
    """In the middle of the first phase; history and weights are those of an undisturbed run."""
    command, folder = ["train", labelled, *LONG], tmp_path / "model"
    if not undisturbed:
        assert run(*command, "-o", tmp_path / "whole")[0] == 0
        undisturbed |= outcome_of(tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    process = get_context("fork").Process(target=begin, args=([*command, "-o", folder],))
    process.start()
    checkpoint = folder / "checkpoints" / "scratch.checkpoint.safetensors"
    while process.is_alive() and not checkpoint.exists():
        time.sleep(0.003)
    os.kill(process.pid, sent)
    process.join(60)
    expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
    assert process.exitcode == expected[sent]
    assert not (folder / "surrogate.json").exists()

    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 30)
    code, _, err = run(*command, "-o", folder)
    assert code == 0, err
    assert err.startswith("homog: 50 epochs, ")  # a phase under way counts whole
    assert outcome_of(folder) == undisturbed


def outcome_of(folder):
    """What a training made, without the clock."""
    phases = read_history(folder / "history.json")["phases"]
    return {
        "phases": [{**record, "seconds": None} for record in phases],
        "weights": (folder / "weights.safetensors").read_bytes(),
    }


def begin(arguments):
    """The command in a process of its own, which hears of signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main([str(argument) for argument in arguments])


BAD_OPTIONS = [
    (["--latent", "x"], "expected numbers like 32 or 16,32,64; got 'x'"),
    (["--latent", "0"], "expected numbers like 32"),
    (["--latent", "3,5000"], "latent must be a number from 1 to 1024, got 5000"),
    (["--preset", "large"], "'large' is not one of 'fast', 'paper'"),
    (["--predictor", "forest"], "'forest' is not one of"),
    (["--predictor", "laplace", "--components", "2"], "components are those of mdn, not of lap"),
    (["--components", "65"], "65 is not in the range"),
    (["--members", "0"], "0 is not in the range"),
    (["--epochs", "0"], "0 is not in the range"),
    (["--batch", "-1"], "-1 is not in the range"),
    (["--keep-positive", "0"], "share to keep must lie in (0, 1], got 0.0"),
    (["--keep-positive", "nan"], "share to keep must lie in (0, 1], got nan"),
    (["--seed", "-1"], "-1 is not in the range"),
    (["--scratch", "-1", "0"], "-1.0 is not in the range"),
    (["--targets", "E,E"], "targets must be distinct names"),
    (["--vae", "missing"], "missing: no surrogate there"),
    (["--devices", "0"], "0 is not in the range"),
    (["--precision", "8"], "'8' is not one of"),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS, ids=lambda value: str(value)[:30])
def test_train_refuses_options_that_cannot_be(options, words, run, labelled, tmp_path):
    outcome = run("train", labelled, "-o", tmp_path / "model", *QUICK, *options)
    assert_refused(outcome, 2, words)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["zener", "", "status"])
def test_train_refuses_targets_that_are_no_labels(name, run, labelled, tmp_path):
    outcome = run("train", labelled, "-o", tmp_path / "model", "--targets", f"E,{name}", *QUICK)
    assert_refused(outcome, 3, "labelled.h5: ", f"no label '{name}' to learn; there are E, K")


def test_train_refuses_another_training_in_the_folder(run, labelled, tmp_path):
    folder = tmp_path / "model"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "history.json").write_text('{"key": "00", "phases": [], "chosen": {}}')
    outcome = run("train", labelled, "-o", folder, *QUICK)
    assert_refused(outcome, 3, "model holds a training of other settings or labels")


def test_train_refuses_a_file_in_place_of_a_folder(run, labelled, tmp_path):
    (tmp_path / "model").touch()
    outcome = run("train", labelled, "-o", tmp_path / "model", *QUICK)
    assert_refused(outcome, 2, "model: expected a folder to write, got a file")


def test_evaluate_prints_the_table(run, model, labelled):
    code, out, err = run("evaluate", model, labelled, "--samples", "5", "--threads", "1")
    assert (code, err) == (0, "")
    summary = Evaluation(Surrogate.load(model), labelled, 5).summary()
    assert out == table(summary) + "\n"


def test_evaluate_prints_json(run, model, labelled):
    code, out, _ = run("evaluate", model, labelled, "--samples", "5", "--json", "--threads", "1")
    assert code == 0
    found = json.loads(out)
    assert found == Evaluation(Surrogate.load(model), labelled, 5).summary()
    assert found["samples"] == 5


def test_evaluate_writes_numbers_and_pictures(run, model, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "CASES", 1)  # fewer than there are: drawing takes long
    monkeypatch.setattr(plots, "cases", partial(plots.cases, realisations=1))
    monkeypatch.setattr(plots, "reconstructions", partial(plots.reconstructions, count=2))
    folder = tmp_path / "evaluation"
    code, *_ = run(
        "evaluate", model, labelled, "--samples", "4", "-o", folder, "--json", "--threads", "1"
    )
    assert code == 0
    pictures = ("cases", "convergence", "distribution", "parity", "reconstructions", "reliability")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(["evaluation.json", *(f"{name}.png" for name in pictures)])
    for name in pictures:
        pixels = np.asarray(Image.open(folder / f"{name}.png"))
        assert pixels.shape[0] > 100
        assert np.ptp(pixels) > 100  # something is drawn
    content = json.loads((folder / "evaluation.json").read_text())
    assert len(content["cases of nu"]) == 2
    assert content["accuracy"] == Evaluation(Surrogate.load(model), labelled, 4).accuracy()


def test_evaluate_compares_a_deterministic_surrogate_with_table_d1(run, labelled, model, tmp_path):
    folder = tmp_path / "deterministic"
    kind = ("--predictor", "deterministic")
    assert run("train", labelled, "-o", folder, "--vae", model, *kind, *QUICK)[0] == 0
    out = run("evaluate", folder, labelled, "--samples", "2", "--threads", "1")[1]
    assert "(0.9203)" in out  # R2 of nu on test units


@pytest.mark.parametrize("command", ["evaluate", "interpolate"])
def test_default_is_the_surrogate_of_the_package(
    command, run, model, labelled, units, tmp_path, monkeypatch
):
    monkeypatch.setattr(surrogate, "SHIPPED", model)
    arguments = {
        "evaluate": (labelled, "--samples", "2", "--threads", "1"),
        "interpolate": (*units, "-o", tmp_path / "morph.png", "--steps", "2"),
    }[command]
    assert run(command, "default", *arguments) == run(command, model, *arguments, *force(command))


def force(command):
    return ("--force",) if command == "interpolate" else ()


def test_interpolate_draws_the_units_and_says_which_hold_together(run, model, units, tmp_path):
    path = tmp_path / "morph.png"
    code, out, err = run("interpolate", model, *units, "-o", path, "--steps", "4")
    assert (code, err) == (0, "")
    rows = [line.split(maxsplit=2) for line in out.splitlines()]
    assert rows[0] == ["t", "density", "state"]
    assert [row[0] for row in rows[1:]] == ["0.00", "0.33", "0.67", "1.00"]
    made = Surrogate.load(model)
    octants = toys.octants()[0][:2]
    decoded = made.decode(made.encode(octants)) >= 0.5
    densities = [float(row[1]) for row in rows[1:]]
    assert [densities[0], densities[-1]] == pytest.approx(decoded.mean((1, 2, 3)), abs=1e-4)
    states = {row[2] for row in rows[1:]}
    assert states <= {"connected", "empty", "does not span", "fragments", "2 parts"}
    assert Image.open(path).size[0] > 200


def test_interpolate_marks_what_does_not_hold_together(run, model, units, tmp_path, monkeypatch):
    def nothing(self, z):
        return np.zeros((len(z), 8, 8, 8))

    monkeypatch.setattr(Surrogate, "decode", nothing)
    monkeypatch.setattr("learn.plots.tiles", lambda cells, *_, **__: shown.extend(cells))
    monkeypatch.setattr("homog.view.save_figure", lambda *_: None)
    shown = []
    out = run("interpolate", model, *units, "-o", tmp_path / "morph.png", "--steps", "3")[1]
    assert out.count("empty") == 3
    assert {colour for _, colour in shown} == {"#d46a6a"}


def spoiled_cells(tmp_path):
    cell = unfold(toys.octants()[0][0])
    lopsided = cell.copy()
    lopsided[0, 1, 2] ^= True
    np.save(tmp_path / "large.npy", np.ones((20, 20, 20), bool))
    np.save(tmp_path / "lopsided.npy", lopsided)
    np.save(tmp_path / "many.npy", np.ones((2, 16, 16, 16), bool))
    (tmp_path / "empty.npy").touch()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing.npy", 2, "missing.npy"),
        ("large.npy", 3, "expected 16 voxels along each edge, got (20, 20, 20)"),
        ("lopsided.npy", 3, "not a cubic cell; a surrogate knows cubic cells only"),
        ("many.npy", 3, "many.npy: "),
        ("empty.npy", 3, "empty.npy: "),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_interpolate_refuses_cells_it_cannot_encode(
    place, name, code, words, run, model, units, tmp_path
):
    spoiled_cells(tmp_path)
    cells = [*units]
    cells[place] = tmp_path / name
    outcome = run("interpolate", model, *cells, "-o", tmp_path / "morph.png")
    assert_refused(outcome, code, words)
    assert not (tmp_path / "morph.png").exists()


@pytest.mark.parametrize(
    ("output", "options", "words"),
    [
        ("morph.jpg", [], "expected a name that ends in .png"),
        ("there.png", [], "exists already; use --force to replace it"),
        ("none/morph.png", [], "make it first"),
        ("morph.png", ["--steps", "1"], "1 is not in the range"),
    ],
)
def test_interpolate_refuses_outputs_before_any_work(
    output, options, words, run, model, units, tmp_path
):
    (tmp_path / "there.png").touch()
    outcome = run("interpolate", model, *units, "-o", tmp_path / output, *options)
    assert_refused(outcome, 2, words)


@pytest.fixture
def bad_models(model, tmp_path):
    """Folders that hold no surrogate, or a damaged one."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(model, tmp_path / "cut")
    content = (model / "weights.safetensors").read_bytes()
    (tmp_path / "cut" / "weights.safetensors").write_bytes(content[:-9])
    shutil.copytree(model, tmp_path / "newer")
    said = json.loads((model / "surrogate.json").read_text())
    (tmp_path / "newer" / "surrogate.json").write_text(json.dumps({**said, "version": 99}))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("missing", 2, "no surrogate there; homog train makes one"),
        ("empty", 2, "no surrogate there; homog train makes one"),
        ("a.npy", 2, "no surrogate there; homog train makes one"),
        ("cut", 3, "the weights are not those of the description"),
        ("newer", 3, "version 99 of the format; update homog to read it"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "interpolate", "train"])
def test_models_that_are_none_are_refused(
    command, name, code, words, run, bad_models, labelled, units
):
    path = bad_models / name
    arguments = {
        "evaluate": (path, labelled),
        "interpolate": (path, *units, "-o", bad_models / "morph.png"),
        "train": (labelled, "-o", bad_models / "out", "--vae", path, *QUICK),
    }[command]
    assert_refused(run(command, *arguments), code, f"{path}: ", words)
    assert not (bad_models / "out").exists()


def without_labels(path):
    with_labels = toys.cells(toys.octants(30)[0])
    toys.write_dataset(path, with_labels)


def of_another_solid(path):
    toys.write_labelled(path, 30, change=lambda content: content["labels"][0].update(E=1.0))


@pytest.mark.parametrize(
    ("write", "code", "words"),
    [
        (lambda path: None, 2, "no such file"),
        (lambda path: path.touch(), 3, "units.h5: "),
        (lambda path: path.write_text("no HDF5"), 3, "units.h5: "),
        (without_labels, 3, "the units have no labels yet; run homog label first"),
        (lambda path: toys.write_labelled(path, 15), 3, "only 15 units have labels; label more"),
    ],
    ids=["missing", "empty", "text", "no labels", "few"],
)
@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_datasets_that_are_none_are_refused(command, write, code, words, run, model, tmp_path):
    path = tmp_path / "units.h5"
    write(path)
    arguments = {
        "evaluate": (model, path, "--threads", "1"),
        "train": (path, "-o", tmp_path / "out", *QUICK),
    }[command]
    assert_refused(run(command, *arguments), code, "units.h5", words)
    assert not (tmp_path / "out").exists()


def test_evaluate_refuses_labels_of_another_solid(run, model, tmp_path):
    of_another_solid(tmp_path / "units.h5")
    outcome = run("evaluate", model, tmp_path / "units.h5", "--threads", "1")
    assert_refused(outcome, 3, "units.h5: labels of another solid than the surrogate's")


def test_evaluate_refuses_a_file_in_place_of_a_folder(run, model, labelled, tmp_path):
    (tmp_path / "out").touch()
    outcome = run("evaluate", model, labelled, "-o", tmp_path / "out", "--threads", "1")
    assert_refused(outcome, 2, "out: ", "name another folder")


@pytest.mark.parametrize(
    ("command", "loaded", "missing", "extra"),
    [
        ("train", "learn.train", "lightning_fabric", "learn"),
        ("evaluate", "learn.evaluation", "torch", "learn"),
        ("evaluate", "learn.plots", "matplotlib", "view"),
        ("interpolate", "learn.plots", "matplotlib", "view"),
    ],
)
def test_what_is_not_installed_is_named_with_the_extra_that_has_it(
    command, loaded, missing, extra, run, model, labelled, units, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    output = ("-o", tmp_path / "out.png")
    arguments = {
        "train": (labelled, *output),
        "evaluate": (model, labelled, *output),
        "interpolate": (model, *units, *output),
    }[command]
    outcome = run(command, *arguments)
    assert_refused(outcome, 2, f"{missing} is not installed; pip install 'homog-toolkit[{extra}]'")
    assert not (tmp_path / "out.png").exists()


def test_training_needs_no_pictures(run, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(learn_commands, "draw_curves", DRAW_CURVES)
    monkeypatch.delitem(sys.modules, "learn.plots", raising=False)
    monkeypatch.delitem(sys.modules, "homog.view", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("train", labelled, "-o", tmp_path / "model", *QUICK)[0] == 0
    assert Surrogate.load(tmp_path / "model")
    assert not (tmp_path / "model" / "curves.png").exists()


@pytest.mark.parametrize("command", LEARN_COMMANDS, ids=NAMES)
def test_each_option_has_a_help(command):
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in ("seed", "steps"):
            assert option.help, option.name


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_torch(name, tmp_path):
    """One that fails on import stands first on the path."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "homog", name, "--help"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example" in done.stdout


def distributed(*arguments):
    """The command on two processes."""
    command = [sys.executable, "-m", "homog", "train", *map(str, arguments), "--devices", "2"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )


def test_two_processes_train_one_surrogate(labelled, tmp_path):
    """Slow to start: both import torch, then they find each other."""
    folder = tmp_path / "model"
    done = distributed(labelled, "-o", folder, *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}: surrogate of E, nu; see homog evaluate\n"
    made = Surrogate.load(folder)
    assert made.encode(toys.octants()[0]).shape == (toys.COUNT, 3)
    assert not any(torch.isnan(p).any() for p in made.framework.parameters())
    phases = read_history(folder / "history.json")["phases"]
    assert [record["name"] for record in phases] == ["scratch", "predictor"]
    assert not (folder / "checkpoints").exists()
    again = distributed(labelled, "-o", folder, *QUICK)
    assert again.returncode == 2
    assert again.stderr.count("homog: ") == 1  # both met the error
    assert "model: holds a surrogate already; use --force" in again.stderr
    assert "Traceback" not in again.stderr
