"""Commands for designs: what they print and write, what they refuse, and that they go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import assert_refused

from design.designs import read_designs, write_designs
from homog.dataset import Dataset
from homog.design_commands import DESIGN_COMMANDS, Tell, design_plan

SMALL = (
    "--maximize", "E", "--maximize", "nu", "--density", "0.35:0.55", "--samples", "8",
    "--count", "30", "--seed", "1", "--population", "12", "--generations", "4",
    "--report", "4", "--rounds", "1",
)  # fmt: skip
TWO_ROUNDS = (*SMALL, "--rounds", "2")
HOMOG = (sys.executable, "-m", "homog")
ALONE = ("--workers", "1", "--threads", "1")


@pytest.fixture(autouse=True)
def one_thread():
    """Commands set the threads of torch for good; digits of other tests depend on them."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(model, tmp_path_factory):
    """A finished run of two rounds of the command, in a process of its own."""
    folder = tmp_path_factory.mktemp("command") / "run"
    done = subprocess.run(
        [*HOMOG, "design", *TWO_ROUNDS, *ALONE, "--model", model, "-o", folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_design_prints_its_front_and_fills_its_folder(made):
    folder, out = made
    designs = read_designs(folder / "designs.h5")
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["density", "E,", "predicted"]
    assert len(lines) == designs.front.sum() + 2
    assert lines[-1].endswith(f"{designs.front.sum()} of them on the front")
    assert (folder / "gallery.png").exists()
    assert len(list((folder / "units").glob("*.npy"))) == len(designs)


def test_it_goes_on_where_it_is_finished(made, run):
    folder, out = made
    code, again, _ = run("design", "--resume", folder, *ALONE)
    assert code == 0
    assert again == out


def test_results_are_good_for_the_other_commands(made, run):
    folder, _ = made
    code, out, _ = run("info", folder / "designs.h5")
    assert code == 0
    assert "designs" in out
    code, out, _ = run(
        "solve", folder / "units" / "design-000.npy", "--E", "70e3", "--nu", "0.33", "--json"
    )
    assert code == 0
    with Dataset(folder / "designs.h5") as units:
        assert json.loads(out)["E"] == pytest.approx(units.labels["E"][0], rel=1e-3)


def test_a_design_is_verified_again(made, run):
    folder, _ = made
    code, out, err = run("verify", folder, "--workers", "1")
    assert (code, err) == (0, "")
    designs = read_designs(folder / "designs.h5")
    assert len(out.splitlines()) == len(designs) + 1
    code, out, _ = run("verify", folder, "--workers", "1", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["E"] for row in rows] == pytest.approx(designs.true("E"), rel=1e-3)
    assert rows[0]["predicted E mean"] == designs.predicted("E")[0]


def test_a_run_goes_on_from_another_folder(made, model, run, tmp_path, monkeypatch):
    """The surrogate was named relative to the one where it began."""
    folder = tmp_path / "run"
    monkeypatch.chdir(model.parent)
    begun = ("design", *SMALL, "--generations", "1", *ALONE, "--model", model.name, "-o", folder)
    assert run(*begun)[0] == 0
    monkeypatch.chdir(tmp_path)
    assert run("design", "--resume", "run", *ALONE)[0] == 0
    assert run("verify", "run", "--workers", "1")[0] == 0


def test_a_surrogate_that_was_trained_again_is_told(made, run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made[0], folder)
    said = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(said | {"surrogate": "0123456789abcdef"}))
    assert_refused(run("verify", folder, "--workers", "1"), 2, f"{folder}: the run has another")
    assert_refused(run("design", "--resume", folder, *ALONE), 2, "another surrogate")


def test_progress_shows_the_sign_of_what_is_best(capfd, monkeypatch):
    bars = []
    monkeypatch.setattr("tqdm.tqdm.set_postfix_str", lambda bar, text: bars.append(text))
    with Tell().bar("generations", 1) as step:
        step({"feasible": 3, "front": 1, "best": [-1234.5, 0.25]})
    assert bars == ["feasible 3, best -1234 0.25"]


def test_designs_that_are_not_what_their_file_says_are_told(made, run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made[0], folder)
    designs = read_designs(folder / "designs.h5")
    designs.groups["labels"]["E"][0] *= 1.1
    write_designs(folder / "designs.h5", designs, {})
    code, _, err = run("verify", folder, "--workers", "1")
    assert code == 3
    assert "design 0: E is" in err


def test_a_sweep_compares_the_optima_of_several_risks(model, run, tmp_path):
    options = [o if o != "nu" else "density" for o in SMALL]
    code, out, _ = run(
        "sweep", "--risk", "0.5,5", *options, *ALONE, "--model", model, "-o", tmp_path / "s"
    )
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["risk", "0.5", "5"]
    first, second = (tmp_path / "s" / f"risk-{r}" for r in ("0.5", "5"))
    assert (first / "start.h5").exists()
    assert not (second / "start.h5").exists()  # it starts from the units of the first


def test_a_sweep_of_what_cannot_be_writes_nothing(run, tmp_path):
    code, out, err = run("sweep", "--maximize", "E", "--density", "0.8:", "-o", tmp_path / "s")
    assert (code, out) == (3, "")
    assert "name a dataset with --units" in err
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_run_ends_like_one_that_was_not(made, model, tmp_path, run):
    """kill -9 in the middle of the search of each round."""
    folder = tmp_path / "run"
    killed("design", *TWO_ROUNDS, "--model", model, "-o", folder, at=folder / "round-1")
    assert not (folder / "round-1" / "designs.h5").exists()
    killed("design", "--resume", folder, at=folder / "round-2")
    assert not (folder / "round-2" / "designs.h5").exists()
    code, out, _ = run("design", "--resume", folder, *ALONE)
    assert code == 0
    assert out.splitlines()[:-1] == made[1].splitlines()[:-1]
    whole, again = (read_designs(f / "designs.h5") for f in (made[0], folder))
    assert np.array_equal(whole.cells.packed, again.cells.packed)
    assert np.array_equal(whole.predicted("E"), again.predicted("E"))


def killed(*arguments, at):
    """Run a command, and kill it as soon as a round has its first generation."""
    command = [str(argument) for argument in (*HOMOG, *arguments, *ALONE)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not (at / "search.npz").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_force_starts_again(made, run, tmp_path, model):
    folder = tmp_path / "run"
    shutil.copytree(made[0], folder)
    other = ("design", *SMALL, "--report", "1", *ALONE, "--model", model, "-o", folder)
    assert_refused(run(*other), 2, "holds another run", "--force")
    assert run(*other, "--force")[0] == 0
    assert [path.name for path in (folder / "units").iterdir()] == ["design-000.npy"]
    assert not (folder / "round-2").exists()


def test_options_mean_what_they_say():
    plan = design_plan(
        risk=3.0, deterministic=False, samples=40, maximize=("K",), minimize=("density",),
        density=(0.2, 0.3), bound=(("nu", (0.0, float("inf"))),), min_feature=2, enclosed="fill",
        open_cell=True, model=None, units=None, count=10, population=20, generations=5, rounds=2,
        report=3, seed=4,
    )  # fmt: skip
    task = plan.task
    assert [str(goal) for goal in task.goals] == ["maximize K", "minimize density"]
    assert [str(bound) for bound in task.bounds] == ["nu 0:"]
    assert (task.cleaning.min_feature, task.cleaning.enclosed, task.cleaning.open_cell) == (
        2,
        "fill",
        True,
    )
    assert (task.risk, task.samples, plan.rounds, plan.search.seed) == (3.0, 40, 2, 4)


def test_deterministic_means_no_risk_and_no_samples(model, run, tmp_path):
    code, _, _ = run(
        "design", *SMALL, "--deterministic", *ALONE, "--model", model, "-o", tmp_path / "d"
    )
    assert code == 0
    described = json.loads((tmp_path / "d" / "run.json").read_text())["plan"]["task"]
    assert (described["risk"], described["samples"]) == (0.0, 0)


WRONG = [
    (["design"], 2, "name a folder with -o"),
    (["design", "-o", "run"], 2, "--maximize or --minimize"),
    (["design", "--maximize", "banana", "-o", "run"], 2, "does not predict 'banana'"),
    (["design", "--maximize", "E", "--density", "0.3", "-o", "run"], 2, "0.299:0.301"),
    (["design", "--maximize", "E", "--density", "0.3:1.5", "-o", "run"], 2, "between 0 and 1"),
    (["design", "--maximize", "E", "--density", "0.8:", "-o", "run"], 3, "density 0.8: are gen"),
    (["design", "--maximize", "E", "--bound", "nu", "x:", "-o", "run"], 2, "expected a range"),
    (["design", "--maximize", "E", "--model", "none", "-o", "run"], 2, "no surrogate there"),
    (["design", "--maximize", "E", "--units", "none.h5", "-o", "run"], 2, "none.h5"),
    (["design", "--resume", "none"], 2, "no design run there"),
    (["verify", "none"], 2, "no design run there"),
    (["sweep", "--risk", "1,x", "--maximize", "E", "-o", "s"], 2, "expected numbers like"),
    (["sweep", "--maximize", "E", "--risk", "-1", "-o", "s"], 2, "expected numbers like"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_usage_is_told_in_a_line(run, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments), code, words)
    assert not list(tmp_path.iterdir())


def test_without_pymoo_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo", None)
    monkeypatch.delitem(sys.modules, "design.search", raising=False)
    for name in [name for name in sys.modules if name.startswith("pymoo.")]:
        monkeypatch.delitem(sys.modules, name)
    outcome = run("design", "--maximize", "K", "-o", "run")
    assert_refused(outcome, 2, "pymoo is not installed", "homog-toolkit[design]")


@pytest.mark.parametrize("command", DESIGN_COMMANDS, ids=lambda command: command.name)
def test_each_command_has_an_example_in_its_help(command):
    assert f"homog {command.name} " in command.epilog
