"""A whole training: one folder at the end, the same one after any number of crashes."""

import csv
import json
import os
import signal
import time
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch
import toys

from homog import DataError, ParameterError
from homog.dataset import Dataset
from learn import train as module
from learn import training
from learn.calibration import calibrate, nearest
from learn.data import training_data
from learn.evaluation import Evaluation
from learn.framework import Weights
from learn.predictors import PredictorSettings
from learn.progressive import read_history
from learn.surrogate import Surrogate
from learn.train import Devices, curves, train
from learn.training import Optimiser

FILES = ["curves.csv", "history.json", "surrogate.json", "weights.safetensors"]
PLAN = toys.plan(epochs=2)
SHORT = toys.plan(epochs=2, scratch=Weights(1.0, 1e-4, 0.1))


class Tell:
    """What a training says on its way."""

    def __init__(self):
        self.estimates, self.epochs, self.phases = [], [], []

    def estimate(self, seconds, epochs):
        self.estimates.append((seconds, epochs))

    def epoch(self, phase, row):
        self.epochs.append(phase.name)

    def phase(self, record):
        self.phases.append(record["name"])


def run(path, folder, plan=SHORT, *, selection=None, tell=None, **options):
    """Train on one processor."""
    selection = selection or toys.selection()
    return train(path, folder, plan, selection, toys.fabric(), tell, **options)


def history_of(folder):
    """What was done, without the clock."""
    content = read_history(folder / "history.json")
    phases = [{k: v for k, v in r.items() if k != "seconds"} for r in content["phases"]]
    return {**content, "phases": phases}


def weights_of(folder):
    return (folder / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def told():
    return Tell()


@pytest.fixture(scope="module")
def undisturbed(labelled, told, tmp_path_factory):
    """Folder of a progressive training that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "model"
    run(labelled, folder, PLAN, tell=told)
    return folder


def test_a_folder_holds_the_surrogate_and_its_history(undisturbed, told):
    assert sorted(os.listdir(undisturbed)) == FILES
    content = read_history(undisturbed / "history.json")
    assert [record["name"] for record in content["phases"]] == told.phases
    assert len(told.phases) == 1 + 9 + 6 + 1 + 1
    assert Surrogate.load(undisturbed).notes["chosen"] == content["chosen"]


def test_the_work_is_estimated_before_it_begins(undisturbed, told):
    ((seconds, epochs),) = told.estimates
    assert epochs == len(told.epochs) == 18 * 2
    assert 0 < seconds < 60


def test_curves_are_the_losses_of_all_epochs(undisturbed):
    with open(undisturbed / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    records = read_history(undisturbed / "history.json")["phases"]
    expected = [(r["name"], row) for r in records for row in r["curves"]]
    assert len(rows) == len(expected) == 37  # the start of the predictor is one
    for found, (name, row) in zip(rows, expected, strict=True):
        assert (found["phase"], int(found["epoch"])) == (name, row["epoch"])
        for key in ("learning rate", "validation total", "training regression"):
            if key in row:
                assert float(found[key]) == pytest.approx(row[key], rel=1e-5)
            else:
                assert found[key] == ""


def test_losses_of_nothing_are_a_table_without_rows():
    assert curves({"phases": []}) == "\n"


def test_progress_is_told_only_to_those_who_ask(labelled, undisturbed, tmp_path):
    run(labelled, tmp_path / "model", PLAN)
    assert weights_of(tmp_path / "model") == weights_of(undisturbed)
    assert history_of(tmp_path / "model") == history_of(undisturbed)


def run_with_checkpoints(path, folder):
    """A training that saves after every epoch."""
    training.CHECKPOINT_SECONDS = -1
    run(path, folder, PLAN)


def changes(path, count, alive):
    """Wait until a file was replaced so many times, or nobody is left to do it."""
    seen = set()
    while len(seen) < count and alive():
        try:
            found = path.stat()
            seen.add((found.st_ino, found.st_mtime_ns))
        except FileNotFoundError:
            pass
        time.sleep(0.003)


@pytest.mark.parametrize(("watched", "count"), [("checkpoints", 21), ("history.json", 7)])
def test_a_training_that_is_killed_again_and_again_ends_as_if_nothing_happened(
    watched, count, labelled, undisturbed, tmp_path
):
    """SIGKILL after some checkpoints or phases, until the work is done."""
    context = get_context("forkserver")  # a fork of this process would miss the threads of torch
    context.set_forkserver_preload([__name__])
    folder, kills = tmp_path / "model", 0
    for _ in range(40):
        process = context.Process(target=run_with_checkpoints, args=(labelled, folder))
        process.start()
        changes(folder / watched, count, process.is_alive)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.join(60)
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert kills >= 2
    assert weights_of(folder) == weights_of(undisturbed)
    assert history_of(folder) == history_of(undisturbed)
    assert names_in(folder) == names_in(undisturbed)


def names_in(folder):
    """Names of the files in a folder; hidden are those that were being written at a kill."""
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


@pytest.mark.parametrize("moment", ["save", "curves", "clear"])
def test_a_kill_at_the_very_end_loses_nothing(moment, labelled, tmp_path, monkeypatch):
    """The same command finishes the folder, until it is finished."""
    folder, owner = tmp_path / "model", Surrogate if moment == "save" else module

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, moment, killed)
    with pytest.raises(KeyboardInterrupt):
        run(labelled, folder)
    monkeypatch.undo()
    told = Tell()
    run(labelled, folder, tell=told)
    assert told.epochs == []
    assert sorted(os.listdir(folder)) == FILES
    with pytest.raises(ParameterError, match="holds a surrogate already"):
        run(labelled, folder)


def test_what_a_kill_left_of_the_checkpoints_goes(labelled, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    monkeypatch.setattr(module.shutil, "rmtree", lambda path, ignore_errors=False: None)
    run(labelled, folder)
    assert (folder / "checkpoints.finished" / "scratch.safetensors").exists()
    monkeypatch.undo()
    run(labelled, folder, force=True)
    assert not (folder / "checkpoints.finished").exists()


def test_what_was_done_is_not_estimated_again(labelled, tmp_path):
    class Stop(Tell):
        def phase(self, record):
            if record["name"] == "kl-1":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(labelled, tmp_path / "model", PLAN, tell=Stop())
    again = Tell()
    run(labelled, tmp_path / "model", PLAN, tell=again)
    assert again.phases[0] == "regression-1e-05"
    assert again.estimates[0][1] == len(again.epochs) == 8 * 2


def test_a_surrogate_is_not_replaced_unless_forced(labelled, tmp_path):
    folder = tmp_path / "model"
    run(labelled, folder)
    before = weights_of(folder)
    with pytest.raises(ParameterError, match="holds a surrogate already; use --force"):
        run(labelled, folder)
    assert weights_of(folder) == before
    other = replace(SHORT, optimiser=Optimiser(batch=16, seed=1))
    run(labelled, folder, other, force=True)
    assert weights_of(folder) != before


def interrupted(labelled, folder):
    """A training that stopped on its way."""

    class Stop(Tell):
        def phase(self, record):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(labelled, folder, tell=Stop())


@pytest.mark.parametrize(
    "change",
    [
        {"plan": toys.plan(epochs=3, scratch=SHORT.scratch)},
        {"selection": toys.selection("E", "K")},
        {"selection": toys.selection(seed=1)},
        {"selection": toys.selection(keep_positive=0.5)},
    ],
    ids=["epochs", "targets", "split", "share"],
)
def test_a_folder_of_another_training_is_refused_unless_forced(change, labelled, tmp_path):
    folder = tmp_path / "model"
    interrupted(labelled, folder)
    with pytest.raises(DataError, match="holds a training of other settings or labels"):
        run(labelled, folder, **change)
    run(labelled, folder, **change, force=True)
    assert Surrogate.load(folder)


def test_one_training_at_a_time_writes_a_folder(labelled, tmp_path):
    class Second(Tell):
        def phase(self, record):
            before = names_in(folder / "checkpoints")
            for force in (False, True):
                with pytest.raises(ParameterError, match="another run is writing this output"):
                    run(labelled, folder, force=force)
            assert names_in(folder / "checkpoints") == before
            super().phase(record)

    folder, told = tmp_path / "model", Second()
    run(labelled, folder, tell=told)
    assert told.phases == ["scratch", "predictor"]
    assert sorted(os.listdir(folder)) == FILES


def test_labels_of_other_units_are_another_training(labelled, tmp_path):
    interrupted(labelled, tmp_path / "model")
    other = toys.write_labelled(tmp_path / "other.h5", 100)
    with pytest.raises(DataError, match="holds a training of other settings or labels"):
        run(other, tmp_path / "model")


@pytest.mark.parametrize("kind", ["deterministic", "ensemble", "mc-dropout", "laplace"])
def test_another_predictor_learns_in_the_latent_space_of_a_base(kind, labelled, model, tmp_path):
    base = Surrogate.load(model)
    plan = toys.plan(settings=PredictorSettings(kind, hidden=(16, 8), members=3))
    told = Tell()
    found = run(labelled, tmp_path / kind, plan, tell=told, base=base)
    assert told.phases == ["predictor"]
    ((seconds, epochs),) = told.estimates
    assert epochs == len(told.epochs) == 2
    assert 0 < seconds < 60
    state = found.framework.vae.state_dict()
    for name, tensor in base.framework.vae.state_dict().items():
        assert torch.equal(state[name], tensor)
    octants = toys.octants()[0]
    assert np.array_equal(found.encode(octants), base.encode(octants))
    if kind == "laplace":
        assert found.framework.predictor.shift.std() > 0  # it was fitted after training


def test_the_autoencoder_of_another_architecture_is_refused(labelled, model, tmp_path):
    plan = replace(SHORT, architecture=replace(toys.SMALL, width=25))
    with pytest.raises(ParameterError, match="the autoencoder to keep is of another architecture"):
        run(labelled, tmp_path / "model", plan, base=Surrogate.load(model))


def test_the_latent_size_of_a_base_is_kept(labelled, model, tmp_path):
    plan = toys.plan(latents=(5,))
    found = run(labelled, tmp_path / "model", plan, base=Surrogate.load(model))
    assert found.architecture.latent == 3


def test_half_precision_is_stored_and_what_is_returned_is_whole(labelled, tmp_path):
    found = run(labelled, tmp_path / "model", half=True)
    again, z = Surrogate.load(tmp_path / "model"), np.zeros((1, 3))
    mean = found.predict_with_uncertainty(z)["E"].mean
    assert again.predict_with_uncertainty(z)["E"].mean == pytest.approx(mean, rel=0.01)
    weight, stored = (s.framework.vae.decoder[0].weight for s in (found, again))
    assert torch.equal(stored, weight.half().float())


def test_uncertainty_is_calibrated_on_validation_units(labelled, tmp_path, monkeypatch):
    """And told apart by how far they are from the training units, seen either way."""
    monkeypatch.setattr("learn.calibration.FEW", 3)
    run(labelled, tmp_path / "model")
    surrogate = Surrogate.load(tmp_path / "model")
    with Dataset(labelled) as dataset:
        data = training_data(dataset, toys.selection(), surrogate.architecture)
    known = surrogate.calibration.known
    octants = toys.octants()[0]
    trained = octants[data.rows[data.members("training")]]
    assert len(known.z) == len(trained)
    halves = np.array_split(known.z, 2)
    for half, view in zip(halves, (trained, np.flip(trained, (1, 2, 3))), strict=True):
        assert nearest(half, surrogate.encode(view)) == pytest.approx(0, abs=1e-3)
    chosen = data.members("validation")
    *_, center = surrogate.sampled_octants(octants[data.rows[chosen]])
    assert known.typical == pytest.approx(np.median(nearest(center.reshape(-1, 3), known.z)))
    found = surrogate.predict_octants(octants[data.rows[chosen]], calibrated=False)
    mean, total = (
        np.column_stack([getattr(found[name], part) for name in ("E", "nu")])
        for part in ("mean", "total")
    )
    expected = calibrate(data.observed[chosen], mean, total, center, known)
    for name in ("factor", "power"):
        stored = getattr(surrogate.calibration, name)
        assert stored == pytest.approx(getattr(expected, name), rel=1e-3)
    assert surrogate.calibration.scores == pytest.approx(expected.scores, rel=1e-2, abs=1e-3)
    assert surrogate.calibration.method == expected.method


def test_the_surrogate_says_what_it_was_trained_on(labelled, model):
    surrogate = Surrogate.load(model)
    with Dataset(labelled) as dataset:
        data = training_data(dataset, toys.selection(), surrogate.architecture)
    assert surrogate.origin == {**data.origin, "targets": ["E", "nu"], "split seed": 0}
    assert surrogate.scaler.mean == pytest.approx(data.scaler.mean)
    assert json.loads((model / "surrogate.json").read_text())["format"] == "homog surrogate"


def test_extra_units_train_and_may_not_judge(labelled, tmp_path):
    extra = toys.write_labelled(tmp_path / "extra.h5", 60)
    found = run(labelled, tmp_path / "model", extra=[extra])
    alone = run(labelled, tmp_path / "alone")
    units, fewer = found.notes["units"], alone.notes["units"]
    assert fewer["training"] < units["training"] <= fewer["training"] + 60
    assert {**units, "training": 0} == {**fewer, "training": 0}
    assert Evaluation(found, labelled, samples=2).own
    with pytest.raises(DataError, match="all of these units trained the surrogate"):
        Evaluation(found, extra, samples=2)
    interrupted(labelled, tmp_path / "begun")
    with pytest.raises(DataError, match="holds a training of other settings or labels"):
        run(labelled, tmp_path / "begun", extra=[extra])


def test_without_sensitivities_the_scatter_is_not_learned(tmp_path):
    path = toys.write_labelled(tmp_path / "nominal.h5", scatter=False)
    found = run(path, tmp_path / "model")
    assert found.framework.scatter is None
    made = Surrogate.load(tmp_path / "model").predict_with_uncertainty(np.zeros((2, 3)))["E"]
    assert made.aleatoric**2 + made.epistemic**2 == pytest.approx(made.total**2)


def test_targets_set_the_size_of_the_predictor(labelled, tmp_path):
    selection = toys.selection("nu", "K", "E")
    found = run(labelled, tmp_path / "model", selection=selection)
    assert found.targets == ("nu", "K", "E")
    made = Surrogate.load(tmp_path / "model").predict_with_uncertainty(np.zeros((2, 3)))
    assert list(made) == ["nu", "K", "E"]


def test_paper_trains_too(labelled, tmp_path):
    architecture = replace(toys.SMALL, preset="paper")
    optimiser = Optimiser(batch=40, keep_positive=0.5)
    plan = replace(toys.plan(epochs=1, scratch=SHORT.scratch), architecture=architecture)
    few = toys.write_labelled(tmp_path / "few.h5", 30)
    found = run(few, tmp_path / "model", replace(plan, optimiser=optimiser))
    assert found.decode(np.zeros((1, 3))).shape == (1, 8, 8, 8)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_few_units_are_enough(tmp_path):
    run(toys.write_labelled(tmp_path / "few.h5", 24), tmp_path / "model")


def test_a_file_is_no_folder_for_a_surrogate(labelled, tmp_path):
    (tmp_path / "model").touch()
    with pytest.raises(ParameterError, match="model: expected a folder to write, got a file"):
        run(labelled, tmp_path / "model")
    with pytest.raises(ParameterError, match=r"inside: .*; name another folder"):
        run(labelled, tmp_path / "model" / "inside")


def test_datasets_are_named_when_they_cannot_train(tmp_path):
    path = toys.write_labelled(tmp_path / "units.h5", 15)
    with pytest.raises(DataError, match=r"units\.h5: only 15 units have labels"):
        run(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_one_process_on_a_cpu_is_not_distributed():
    fabric = Devices(precision="32-true").launch()
    assert (fabric.world_size, fabric.global_rank) == (1, 0)
    assert Devices().launch()._precision.precision == "32-true"


def test_deterministic_asks_torch_for_it(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        Devices(deterministic=True).launch()
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
