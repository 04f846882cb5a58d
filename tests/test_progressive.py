"""Progressive training: which phases follow on which, and what is chosen of them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import toys

from homog import DataError, ParameterError
from learn.framework import Weights
from learn.predictors import PredictorSettings
from learn.progressive import (
    KL_WEIGHTS,
    REGRESSION_WEIGHTS,
    STEPS,
    History,
    Progressive,
    default_epochs,
    read_history,
)

KL = [f"kl-{weight:g}" for weight in KL_WEIGHTS[1:]]
REGRESSION = [f"regression-{weight:g}" for weight in REGRESSION_WEIGHTS[1:]]


class MadeUp:
    """Trainer that trains nothing: losses are those of a table, and it notes what it is told."""

    def __init__(self, folder, reconstruction=None, regression=None):
        self.folder = folder
        self.tables = reconstruction or {}, regression or {}
        self.fabric = SimpleNamespace(is_global_zero=True)
        self.phases, self.starts = [], []
        self.loaded = None

    def checkpoint(self, phase):
        return self.folder / f"{phase.name}.checkpoint"

    def load(self, framework, name):
        self.loaded = name

    def train(self, framework, phase):
        self.phases.append(phase)
        self.starts.append(self.loaded)
        self.loaded = None
        return {
            "name": phase.name,
            "epochs": phase.epochs,
            "latent": framework.architecture.latent,
            **{
                f"validation {term}": table.get(phase.name, 1.0)
                for term, table in zip(("reconstruction", "regression"), self.tables, strict=True)
            },
        }

    @property
    def names(self):
        return [phase.name for phase in self.phases]

    def started(self, name):
        return self.starts[self.names.index(name)]


def run(tmp_path, plan=None, reconstruction=None, regression=None, **options):
    """A progressive training of made-up losses, and its history."""
    trainer = MadeUp(tmp_path, reconstruction, regression)
    history = History(tmp_path, "key")
    framework = Progressive(plan or toys.plan(), trainer, history, **options).run()
    return trainer, read_history(tmp_path / "history.json"), framework


def test_each_phase_starts_from_the_best_of_the_one_before(tmp_path):
    trainer, _, framework = run(tmp_path)
    assert trainer.names == ["latent-3", *KL, *REGRESSION, "finish", "predictor"]
    assert trainer.starts[:1] == [None]
    for name, before in zip([*KL], ["latent-3", *KL], strict=False):
        assert trainer.started(name) == before
    for name, before in zip(REGRESSION[1:], REGRESSION, strict=False):
        assert trainer.started(name) == before
    assert trainer.started("predictor") == "finish"
    assert trainer.phases[-1].tuning
    assert not framework.training


def test_weights_of_the_loss_rise_step_by_step(tmp_path):
    trainer, *_ = run(tmp_path, reconstruction=dict.fromkeys(KL[5:], 2.0))
    weights = {phase.name: phase.weights for phase in trainer.phases}
    assert weights["latent-3"] == Weights(1.0, 0.0, 0.0)
    kl = [weights[name].kl for name in KL]
    assert kl == sorted(kl)
    assert (kl[0], kl[-1], len(kl)) == (1e-8, 1.0, 9)
    assert {weights[name].regression for name in KL} == {0.0}
    regression = [weights[name].regression for name in REGRESSION]
    assert regression == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert {weights[name].kl for name in REGRESSION} == {kl[4]}
    assert weights["finish"].kl == kl[4]
    assert weights["predictor"] == Weights(1.0, 0.0, 1.0)
    assert [phase.name for phase in trainer.phases if phase.frozen] == ["predictor"]


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ({2: 1.0, 4: 1.0, 8: 1.0}, 2),
        ({2: 3.0, 4: 1.09, 8: 1.0}, 4),
        ({2: 1.2, 4: 1.11, 8: 1.0}, 8),
        ({2: 1.0, 4: 0.95, 8: 2.0}, 2),
    ],
)
def test_latent_size_is_the_smallest_that_reconstructs_almost_as_well_as_the_best(
    losses, chosen, tmp_path
):
    table = {f"latent-{size}": 1e-3 * loss for size, loss in losses.items()}
    trainer, history, framework = run(tmp_path, toys.plan(latents=(8, 2, 4)), table)
    assert trainer.names[:3] == ["latent-8", "latent-2", "latent-4"]
    assert history["chosen"]["latent"]["phase"] == f"latent-{chosen}"
    assert framework.architecture.latent == chosen
    assert trainer.started(KL[0]) == f"latent-{chosen}"
    assert all(record["latent"] == chosen for record in history["phases"][3:])


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ({}, KL[-1]),
        ({KL[3]: 0.9, KL[4]: 0.94, KL[5]: 0.95}, KL[4]),  # 1.05 times 0.9 is 0.945
        ({"latent-3": 0.5}, "latent-3"),  # any weight costs too much
        ({KL[0]: 2.0, KL[-1]: 1.04}, KL[-1]),  # what lies between does not matter
    ],
)
def test_kl_weight_is_the_largest_that_does_not_cost_reconstruction(losses, chosen, tmp_path):
    trainer, history, _ = run(tmp_path, reconstruction=losses)
    assert history["chosen"]["kl"]["phase"] == chosen
    assert trainer.started(REGRESSION[0]) == chosen
    kl = next((p.weights.kl for p in trainer.phases if p.name == chosen), None)
    assert trainer.phases[-2].weights.kl == kl


@pytest.mark.parametrize(
    ("reconstruction", "regression", "chosen"),
    [
        ({}, {REGRESSION[2]: 0.1, REGRESSION[4]: 0.2}, REGRESSION[2]),
        ({REGRESSION[4]: 1.13}, {REGRESSION[4]: 0.1, REGRESSION[3]: 0.5}, REGRESSION[3]),
        ({REGRESSION[4]: 1.11}, {REGRESSION[4]: 0.1, REGRESSION[3]: 0.5}, REGRESSION[4]),
    ],
)
def test_regression_weight_predicts_best_of_those_that_keep_reconstruction(
    reconstruction, regression, chosen, tmp_path
):
    trainer, history, _ = run(tmp_path, None, reconstruction, regression)
    assert history["chosen"]["regression"]["phase"] == chosen
    assert trainer.started("finish") == chosen
    weights = {phase.name: phase.weights for phase in trainer.phases}
    assert weights["finish"] == weights[chosen]


def test_the_history_says_what_was_chosen_and_why(tmp_path):
    trainer, history, _ = run(tmp_path)
    assert [record["name"] for record in history["phases"]] == trainer.names
    assert set(history["chosen"]) == {"latent", "kl", "regression"}
    assert "the smallest with at most 1.1 times" in history["chosen"]["latent"]["why"]
    assert "the largest with at most 1.05 times" in history["chosen"]["kl"]["why"]
    assert "the least regression loss" in history["chosen"]["regression"]["why"]


@pytest.mark.parametrize("done", [0, 1, 5, 12, 17])
def test_finished_phases_are_not_trained_again(done, tmp_path):
    first, history, _ = run(tmp_path)
    history["phases"] = history["phases"][:done]
    (tmp_path / "history.json").write_text(json.dumps(history))
    second, again, _ = run(tmp_path)
    assert second.names == first.names[done:]
    assert second.starts == first.starts[done:]
    assert again["chosen"] == history["chosen"]
    assert len(again["phases"]) == len(first.names)


def test_checkpoints_of_finished_phases_go(tmp_path):
    trainer, *_ = run(tmp_path)
    for phase in trainer.phases:
        trainer.checkpoint(phase).touch()
    run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]


def test_training_from_scratch_is_one_phase_with_given_weights(tmp_path):
    weights = Weights(1.0, 1e-5, 1e-3)
    trainer, history, _ = run(tmp_path, toys.plan(scratch=weights))
    assert trainer.names == ["scratch", "predictor"]
    assert trainer.starts == [None, "scratch"]
    assert trainer.phases[0].weights == weights
    assert history["chosen"] == {}


def test_the_autoencoder_of_a_base_stays(tmp_path):
    base = SimpleNamespace(framework=toys.framework(seed=4), architecture=toys.SMALL)
    plan = toys.plan(settings=PredictorSettings("ensemble", hidden=(4,), members=2))
    trainer, _, framework = run(tmp_path, plan, base=base)
    assert trainer.names == ["predictor"]
    assert trainer.starts == [None]
    assert not trainer.phases[0].tuning  # from nothing
    assert len(framework.predictor.members) == 2
    state = framework.vae.state_dict()
    for name, tensor in base.framework.vae.state_dict().items():
        assert torch.equal(state[name], tensor)


def test_fresh_weights_follow_from_the_seed(tmp_path):
    trainer, history = MadeUp(tmp_path), History(tmp_path, "key")
    progressive = Progressive(toys.plan(), trainer, history)
    first, second = (progressive._framework(3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = toys.plan(optimiser=replace(toys.plan().optimiser, seed=1))
    third = Progressive(other, trainer, history)._framework(3).state_dict()
    assert not torch.equal(first["vae.decoder.0.weight"], third["vae.decoder.0.weight"])


@pytest.mark.parametrize(
    "plan",
    [toys.plan(epochs=default_epochs(60), latents=(2, 4)), toys.plan(scratch=Weights())],
    ids=["progressive", "scratch"],
)
def test_the_estimate_counts_the_epochs_that_there_are(plan, tmp_path):
    trainer, *_ = run(tmp_path, plan)
    alone = sum(phase.epochs for phase in trainer.phases if phase.frozen)
    joint = sum(phase.epochs for phase in trainer.phases) - alone
    assert plan.total_epochs() == (joint, alone)


@pytest.mark.parametrize("epochs", [1, 60, 500])
def test_every_step_has_epochs(epochs):
    assert set(default_epochs(epochs)) == set(STEPS)
    assert min(default_epochs(epochs).values()) >= 1


def test_a_history_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(
        DataError, match=r"of other settings or labels; .* start again with --force"
    ):
        History(tmp_path, "other")


ORIGIN = {"units": "00ff", "E": 70e3}


@pytest.mark.parametrize(
    "change",
    [
        {"latents": (3, 4)},
        {"predictor": PredictorSettings("laplace")},
        {"optimiser": replace(toys.plan().optimiser, seed=3)},
        {"scratch": Weights()},
        {"scatter": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_trainings_that_differ_have_other_keys(change):
    plan = toys.plan()
    assert toys.plan().key(ORIGIN) == plan.key(dict(ORIGIN))
    assert replace(plan, **change).key(ORIGIN) != plan.key(ORIGIN)
    assert plan.key({**ORIGIN, "E": 1.0}) != plan.key(ORIGIN)


@pytest.mark.parametrize("content", ["", "[]", '{"key": 1}', '{"key"', "7"])
def test_files_that_are_no_history_are_refused(content, tmp_path):
    (tmp_path / "history.json").write_text(content)
    with pytest.raises(DataError, match=r"history\.json: not a history of training"):
        History(tmp_path, "key")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latents": ()}, "name at least one latent size"),
        ({"latents": (3, 5000)}, "latent must be a number from 1 to 1024, got 5000"),
        ({"epochs": 0}, "epochs must be 1 or more for each of latent, kl"),
        ({"epochs": {"latent": 1}}, "epochs must be 1 or more for each of latent, kl"),
    ],
)
def test_plans_that_cannot_be_are_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        toys.plan(**options)
