"""Training of one phase: what learns, what is drawn, when it ends, and what survives a crash."""

import os
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
import torch
import toys

from homog import DataError
from homog.dataset import Dataset
from learn import training
from learn.data import training_data
from learn.framework import Weights
from learn.training import (
    Optimiser,
    Phase,
    Trainer,
    latent_means,
    read_tensors,
    write_tensors,
)

OPTIMISER = Optimiser(batch=16, patience=50)
JOINT = Phase("joint", Weights(1.0, 1e-3, 0.1), epochs=4)
FROZEN = Phase("alone", Weights(regression=1.0), epochs=4, frozen=True)
TUNING = replace(FROZEN, name="tuning", tuning=True)
RECONSTRUCTION = Phase("latent", Weights(), epochs=4)
PHASES = {phase.name: phase for phase in (JOINT, FROZEN, TUNING, RECONSTRUCTION)}


class Recorder(Trainer):
    """Remembers which training units each epoch used."""

    def __init__(self, *arguments):
        super().__init__(*arguments, progress=lambda *_: self.epochs.append([]))
        self.epochs = [[]]

    def units(self, chosen, z=None):
        if torch.is_grad_enabled():
            self.epochs[-1] += chosen.tolist()
        return super().units(chosen, z)


@pytest.fixture(scope="module")
def data(labelled):
    with Dataset(labelled) as dataset:
        return training_data(dataset, toys.selection(), toys.SMALL)


@pytest.fixture
def trainer_of(data, tmp_path):
    def make(optimiser=OPTIMISER, kind=Trainer, folder=tmp_path, **options):
        return kind(toys.fabric(), data, optimiser, folder, **options)

    return make


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def without_clock(record):
    return {name: value for name, value in record.items() if name != "seconds"}


@pytest.mark.parametrize("name", PHASES)
def test_the_same_training_gives_the_same_weights(name, trainer_of, tmp_path):
    found = []
    for _ in range(2):
        framework = toys.framework()
        record = trainer_of().train(framework, PHASES[name])
        found.append((without_clock(record), copied(framework)))
    assert found[0][0] == found[1][0]
    assert_same(found[0][1], found[1][1])


def test_another_seed_gives_other_weights(trainer_of):
    first, second = toys.framework(), toys.framework()
    trainer_of().train(first, JOINT)
    trainer_of(replace(OPTIMISER, seed=1)).train(second, JOINT)
    assert not torch.equal(first.vae.decoder[0].weight, second.vae.decoder[0].weight)


@pytest.mark.parametrize("name", PHASES)
@pytest.mark.parametrize("stop", [1, 3])
def test_what_goes_on_from_a_checkpoint_ends_as_if_nothing_happened(
    name, stop, trainer_of, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)  # after each epoch
    phase, done = PHASES[name], toys.framework()
    undisturbed = trainer_of().train(done, phase)
    trainer_of().checkpoint(phase).unlink()

    def interrupt(_, row):
        if row["epoch"] == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer_of(progress=interrupt).train(toys.framework(), phase)
    assert trainer_of().checkpoint(phase).exists()
    epochs, framework = [], toys.framework()
    trainer = trainer_of(progress=lambda _, row: epochs.append(row["epoch"]))
    record = trainer.train(framework, phase)
    assert epochs == list(range(stop + 1, 5))  # the others are not trained again
    assert without_clock(record) == without_clock(undisturbed)
    assert_same(copied(framework), copied(done))


def test_the_best_weights_outlive_a_crash_after_which_none_are_better(trainer_of, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1)
    optimiser = replace(OPTIMISER, decay=1e4)  # a rate that grows
    phase, done = replace(JOINT, epochs=6, learning_rate=0.1), toys.framework()
    best = trainer_of(optimiser).train(done, phase)["best epoch"]
    trainer_of().checkpoint(phase).unlink()

    def interrupt(_, row):
        if row["epoch"] == best + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer_of(optimiser, progress=interrupt).train(toys.framework(), phase)
    framework = toys.framework()
    trainer_of(optimiser).train(framework, phase)
    assert_same(copied(framework), copied(done))


def test_checkpoints_wait_until_there_is_something_to_lose(trainer_of, tmp_path):
    trainer_of().train(toys.framework(), JOINT)
    assert [path.name for path in tmp_path.iterdir()] == ["joint.safetensors"]


def test_auxetic_units_train_in_each_epoch_and_a_share_of_the_others(trainer_of, data):
    trainer = trainer_of(Optimiser(batch=1000, keep_positive=0.6), Recorder)
    trainer.train(toys.framework(), replace(JOINT, epochs=6))
    training = data.members("training")
    auxetic = set(training[data.auxetic[training]].tolist())
    positive = set(training.tolist()) - auxetic
    assert auxetic
    kept = [set(units) - auxetic for units in trainer.epochs[:-1]]
    for units, some in zip(trainer.epochs, kept, strict=False):
        assert len(units) == len(set(units))
        assert auxetic <= set(units) <= set(training.tolist())
        assert len(some) == round(0.6 * len(positive))
    assert all(first != second for first, second in pairwise(kept))
    assert len(set.union(*kept)) > 0.95 * len(positive)  # 1 - 0.4^6 of them on average


def test_all_steps_have_as_many_units(trainer_of, data):
    """What is left over waits for another epoch."""
    trainer = trainer_of(Optimiser(batch=16, keep_positive=1.0), Recorder)
    trainer.train(toys.framework(), replace(JOINT, epochs=2))
    assert len(data.members("training")) == 84
    assert [len(units) for units in trainer.epochs] == [80, 80, 0]
    assert trainer.epochs[0] != trainer.epochs[1]


def test_a_phase_ends_when_it_does_not_improve(trainer_of):
    trainer = trainer_of(replace(OPTIMISER, patience=3))
    record = trainer.train(toys.framework(), replace(JOINT, epochs=50, learning_rate=0.0))
    assert (record["epochs"], record["best epoch"]) == (4, 1)


def test_the_best_weights_stay(trainer_of, data, tmp_path):
    """Even where later ones are far worse."""
    trainer, framework = trainer_of(replace(OPTIMISER, decay=1e4)), toys.framework()
    phase = replace(JOINT, epochs=6, learning_rate=0.1)
    record = trainer.train(framework, phase)
    losses = [row["validation total"] for row in record["curves"]]
    assert record["best epoch"] == 1 + int(np.argmin(losses)) < record["epochs"] == len(losses)
    validation = torch.from_numpy(data.members("validation"))
    framework.eval()
    with torch.no_grad():
        total = framework(toys.batch(data, validation), phase.weights, sample=False)["total"].item()
    assert total == pytest.approx(min(losses), rel=1e-5)
    assert record["validation total"] == min(losses)
    again = toys.framework(seed=1)
    trainer.load(again, phase.name)
    assert_same(copied(again), copied(framework))


def test_tuning_keeps_the_weights_that_no_epoch_betters(trainer_of, data):
    trainer, framework = trainer_of(replace(OPTIMISER, patience=3)), toys.framework()
    trainer.train(framework, replace(FROZEN, epochs=20, learning_rate=1e-2))
    before = copied(framework)
    record = trainer.train(framework, replace(TUNING, epochs=50, learning_rate=10.0))
    assert (record["epochs"], record["best epoch"]) == (3, 0)
    assert_same(copied(framework), before)
    assert [row["epoch"] for row in record["curves"]] == [0, 1, 2, 3]
    validation = torch.from_numpy(data.members("validation"))
    with torch.no_grad():
        terms = framework(toys.batch(data, validation), Weights(1.0, 0.0, 1.0), sample=False)
    assert record["validation regression"] == pytest.approx(terms["regression"].item(), rel=1e-5)


def test_losses_of_training_are_means_over_its_units(trainer_of, data):
    trainer = trainer_of(Optimiser(batch=16, keep_positive=1.0, shifts=False), Recorder)
    framework = toys.framework()
    phase = replace(FROZEN, epochs=1, learning_rate=0.0)
    record = trainer.train(framework, phase)
    batch = toys.batch(data, torch.tensor(trainer.epochs[0]))
    with torch.no_grad():
        z = framework.vae.encode_seen(batch.seen)[0]
        regression = framework.predictor.loss(z, batch.y).item()
        scatter = ((framework.log_scatter(z) - batch.log_scatter) ** 2).sum(1).mean().item()
    assert record["training regression"] == pytest.approx(regression, rel=1e-4)
    assert record["training scatter"] == pytest.approx(scatter, rel=1e-4)


@pytest.mark.parametrize("phase", [JOINT, FROZEN], ids=lambda phase: phase.name)
def test_units_train_as_they_are_and_after_a_shift_by_half_a_cell(phase, trainer_of, data):
    """A shift leaves the properties as they are: with either kind alone the losses are others."""
    losses = {}
    for share in (0.0, 0.5, 1.0):
        with patch("torch.rand", lambda n, share=share: torch.arange(n) / n + 0.5 - share):
            trainer = trainer_of(Optimiser(batch=80, keep_positive=1.0))
            still = replace(phase, epochs=1, learning_rate=0.0)
            losses[share] = trainer.train(toys.framework(), still)["training regression"]
    assert len(set(losses.values())) == 3
    framework, seen = toys.framework(), data.seen.float()
    turned = framework.vae.domain.shifted(seen)
    with torch.no_grad():
        z = framework.vae.encode_seen(turned)[0]
    assert torch.allclose(latent_means(framework, data.seen, shifted=True), z, atol=1e-6)


def test_a_training_learns(trainer_of):
    record = trainer_of().train(toys.framework(), replace(JOINT, epochs=30, learning_rate=3e-3))
    for name in ("reconstruction", "regression", "scatter"):
        first, last = (record["curves"][k][f"validation {name}"] for k in (0, -1))
        assert last < first


def test_the_learning_rate_decays_exponentially_after_a_short_rise(trainer_of):
    optimiser = Optimiser(batch=1, keep_positive=1.0, decay=0.01)
    record = trainer_of(optimiser).train(toys.framework(), replace(FROZEN, epochs=5))
    rates = np.array([row["learning rate"] for row in record["curves"]])
    assert rates[0] < 1e-3 * 0.84  # step 84 of 100
    assert rates[2:] / rates[1:-1] == pytest.approx(0.01 ** (1 / 5), rel=1e-6)
    assert rates[-1] == pytest.approx(1e-5, rel=0.05)


def test_a_frozen_phase_leaves_the_autoencoder_as_it_is(trainer_of):
    framework = toys.framework()
    before, predictor = copied(framework.vae), copied(framework.predictor)
    trainer_of().train(framework, FROZEN)
    assert_same(copied(framework.vae), before)
    assert all(
        not torch.equal(t, predictor[name]) for name, t in copied(framework.predictor).items()
    )
    assert all(parameter.requires_grad for parameter in framework.parameters())


def test_a_phase_without_regression_leaves_the_predictor_as_it_is(trainer_of):
    framework = toys.framework()
    before, vae = copied(framework.predictor), copied(framework.vae)
    trainer_of().train(framework, RECONSTRUCTION)
    assert_same(copied(framework.predictor), before)
    assert not torch.equal(framework.vae.decoder[0].weight, vae["decoder.0.weight"])
    assert all(parameter.requires_grad for parameter in framework.parameters())


def test_mixed_precision_rounds_the_autoencoder_alone(trainer_of, data):
    """Targets and what is predicted of them keep their digits; so does a phase of them alone."""
    framework, mixed = toys.framework(), toys.fabric("bf16-mixed").setup(toys.framework())
    batch = toys.batch(data, torch.arange(40))
    whole = framework(batch, JOINT.weights, sample=False)
    rounded = mixed(batch, JOINT.weights, sample=False)
    assert 0 < abs(rounded["reconstruction"] - whole["reconstruction"]) < 1e-2
    batch.z = torch.randn(40, toys.SMALL.latent)
    whole = framework(batch, FROZEN.weights)
    assert all(torch.equal(v, whole[name]) for name, v in mixed(batch, FROZEN.weights).items())


@pytest.mark.parametrize("phase", [JOINT, FROZEN], ids=["joint", "alone"])
def test_mixed_precision_learns_as_well(phase, data, tmp_path):
    records = [
        Trainer(toys.fabric(p), data, OPTIMISER, tmp_path).train(toys.framework(), phase)
        for p in ("32-true", "bf16-mixed")
    ]
    whole, mixed = (record["validation total"] for record in records)
    assert mixed == pytest.approx(whole, rel=0.02)


def test_units_are_given_by_their_indices(trainer_of, data):
    chosen = torch.tensor([5, 3, 80])
    batch, (y, log_scatter) = trainer_of().units(chosen), data.standardised()
    assert torch.equal(batch.seen, data.seen[chosen].float())
    assert torch.equal(batch.y, y[chosen])
    assert torch.equal(batch.log_scatter, log_scatter[chosen])
    z = torch.randn(toys.COUNT, 3)
    staying = trainer_of().units(chosen, z)
    assert staying.seen is None
    assert torch.equal(staying.z, z[chosen])


def test_latent_vectors_are_the_means(trainer_of, data):
    framework = toys.framework()
    with torch.no_grad():
        exact = framework.vae.encode_seen(data.seen.float())[0]
    assert torch.allclose(trainer_of().latent(framework), exact, atol=1e-6)


def test_phases_differ_in_what_they_draw():
    assert JOINT.number != FROZEN.number
    assert JOINT.number == replace(JOINT, epochs=9).number


def test_tensors_come_back_as_they_were(tmp_path):
    tensors = {"a": torch.randn(3, 4), "b": torch.zeros(0)}
    write_tensors(tmp_path / "file", tensors, {"epoch": 3, "best": float("inf")})
    found, state = read_tensors(tmp_path / "file")
    assert_same(found, tensors)
    assert state == {"epoch": 3, "best": float("inf")}


@pytest.mark.parametrize("content", [None, b"", b"weights", b"\xff" * 64])
def test_files_that_hold_no_tensors_are_refused(content, tmp_path):
    path = tmp_path / "joint.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"joint\.safetensors: not a file of weights, or damaged"):
        read_tensors(path)


def test_a_checkpoint_that_was_cut_off_is_refused(tmp_path):
    path = tmp_path / "joint.safetensors"
    write_tensors(path, {"a": torch.randn(100)}, {})
    os.truncate(path, path.stat().st_size - 10)
    with pytest.raises(DataError, match="damaged"):
        read_tensors(path)
