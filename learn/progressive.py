"""Progressive training (section 2.1.4): the weights of the loss are found phase by phase.

Step 1 finds the latent size on reconstruction alone, step 2 raises the weight of the KL term, step
3 that of the regression; each phase starts from the best weights of the phase before. Two steps
follow that the publication does not have: all terms are trained on at the chosen weights, then the
predictor alone in the latent space that stays.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from homog.errors import DataError, ParameterError
from homog.files import write_atomically
from learn.framework import Framework, Weights
from learn.networks import Architecture
from learn.predictors import PredictorSettings
from learn.training import Optimiser, Phase

HISTORY = "history.json"
KL_WEIGHTS = (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
REGRESSION_WEIGHTS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LATENT_LOSS, KL_LOSS, REGRESSION_LOSS = 1.10, 1.05, 1.12  # reconstruction allowed, times the best
STEPS = ("latent", "kl", "regression", "finish", "predictor")


@dataclass(frozen=True)
class Plan:
    """What a training does.

    Parameters
    ----------
    architecture : Architecture
        Its latent size is replaced by the one that is chosen.
    predictor : PredictorSettings
    latents : tuple of int
        Latent sizes to choose from.
    epochs : dict
        At most, of a phase of each of ``STEPS``.
    optimiser : Optimiser
    scratch : Weights, optional
        Train once from scratch with these weights instead.
    scatter : bool
        Whether the deviation under scatter of the solid is learned.
    """

    architecture: Architecture
    predictor: PredictorSettings
    latents: tuple
    epochs: dict
    optimiser: Optimiser
    scratch: Weights | None = None
    scatter: bool = True

    def __post_init__(self):
        if not self.latents:
            raise ParameterError("name at least one latent size")
        for latent in self.latents:
            replace(self.architecture, latent=latent)  # refuses what is out of range
        if set(self.epochs) != set(STEPS) or min(self.epochs.values()) < 1:
            raise ParameterError(f"epochs must be 1 or more for each of {', '.join(STEPS)}")

    def total_epochs(self):
        """Epochs of the autoencoder, and of the predictor alone, if no phase stops early."""
        epochs = self.epochs
        if self.scratch:
            return epochs["finish"], epochs["predictor"]
        joint = len(self.latents) * epochs["latent"] + (len(KL_WEIGHTS) - 1) * epochs["kl"]
        joint += (len(REGRESSION_WEIGHTS) - 1) * epochs["regression"] + epochs["finish"]
        return joint, epochs["predictor"]

    def key(self, origin):
        """What identifies a training: a digest of the plan and of the labels."""
        text = json.dumps([asdict(self), origin], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def default_epochs(epochs):
    """Epochs of each step from those of the longest ones.

    Parameters
    ----------
    epochs : int
        Of the first phase, which learns to reconstruct from nothing.
    """
    return {
        "latent": epochs,
        "kl": max(1, epochs // 30),
        "regression": max(1, epochs // 15),
        "finish": max(1, 2 * epochs // 3),
        "predictor": 2 * epochs,
    }


class History:
    """What a training has done: one JSON file that grows phase by phase.

    Parameters
    ----------
    folder : Path
    key : str
        Of the plan and the labels.

    Raises
    ------
    DataError
        If the folder holds another training, or the file is damaged.
    """

    def __init__(self, folder, key):
        self.path = Path(folder) / HISTORY
        self.content = {"key": key, "phases": [], "chosen": {}}
        if self.path.exists():
            self.content = read_history(self.path)
            if self.content["key"] != key:
                raise DataError(
                    f"{folder} holds a training of other settings or labels; repeat the command "
                    "that made it, or start again with --force"
                )

    def record(self, name):
        """Record of a finished phase, or None."""
        return next((r for r in self.content["phases"] if r["name"] == name), None)

    def add(self, record, write=True):
        self.content["phases"].append(record)
        if write:
            self.write()

    def choose(self, step, name, why, write=True):
        """Note which phase of a step goes on, and why."""
        self.content["chosen"][step] = {"phase": name, "why": why}
        if write:
            self.write()

    def write(self):
        write_atomically(self.path, json.dumps(self.content, indent=1).encode())


def read_history(path):
    """Content of a history file.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        content = json.loads(Path(path).read_text())
        if not {"key", "phases", "chosen"} <= set(content):
            raise ValueError("entries are missing")
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: not a history of training ({error})") from error
    return content


def phase_line(record):
    """Record of a phase as a line: its name, epochs, seconds and losses on validation."""
    numbers = "  ".join(
        f"{name.removeprefix('validation ')} {value:.4g}"
        for name, value in record.items()
        if name.startswith("validation ")
    )
    return (
        f"{record['name']:<20} {record['epochs']:>4} epochs {record['seconds']:>7.0f} s  {numbers}"
    )


class Progressive:
    """Runs a plan with a trainer; what is done already is not done again.

    Parameters
    ----------
    plan : Plan
    trainer : Trainer
    history : History
    base : Surrogate, optional
        Its autoencoder stays, only a predictor is trained.
    tell : object, optional
        ``tell.phase(record)`` is called after each phase.
    """

    def __init__(self, plan, trainer, history, base=None, tell=None):
        self.plan, self.trainer, self.history, self.base = plan, trainer, history, base
        self.tell = tell

    def run(self):
        """Train.

        Returns
        -------
        Framework
            With the weights of the last phase, in the mode for judging.
        """
        framework, name = self._joint()
        rate = 2e-3 if self.base else 3e-4  # it starts from nothing, or from what it has learned
        predictor = self._phase(
            "predictor", Weights(regression=1.0), "predictor", learning_rate=rate, frozen=True,
            tuning=not self.base,
        )  # fmt: skip
        self._train(framework, predictor, name)
        return framework.eval()

    def _joint(self):
        """Framework, and the phase it has the weights of, after the autoencoder is trained."""
        scratch = self.plan.scratch
        if self.base:
            framework = self._framework(self.base.architecture.latent)
            framework.vae.load_state_dict(self.base.framework.vae.state_dict())
            return framework, None
        if scratch:
            framework = self._framework(self.plan.latents[0])
            self._train(
                framework, self._phase("scratch", scratch, "finish", learning_rate=2e-3), None
            )
            return framework, "scratch"
        framework, name = self._latent_size()
        name, kl = self._kl_weight(framework, name)
        name, regression = self._regression_weight(framework, name, kl)
        weights = Weights(1.0, kl, regression)
        self._train(framework, self._phase("finish", weights, "finish"), name)
        return framework, "finish"

    def _latent_size(self):
        """Step 1: the smallest latent size that reconstructs almost as well as the best."""
        records, frameworks = {}, {}
        for latent in self.plan.latents:
            frameworks[latent] = self._framework(latent)
            phase = self._phase(f"latent-{latent}", Weights(), "latent", learning_rate=2e-3)
            records[latent] = self._train(frameworks[latent], phase, None)
        chosen = min(almost_best(records, LATENT_LOSS))
        why = f"the smallest with at most {LATENT_LOSS:g} times the least reconstruction loss"
        self._choose("latent", f"latent-{chosen}", why)
        return frameworks[chosen], f"latent-{chosen}"

    def _kl_weight(self, framework, name):
        """Step 2: the largest weight that does not cost reconstruction."""
        records = {0.0: self.history.record(name)}
        weights = {kl: Weights(1.0, kl) for kl in KL_WEIGHTS[1:]}
        records |= self._raised(framework, "kl", weights, name)
        chosen = max(almost_best(records, KL_LOSS))
        why = f"the largest with at most {KL_LOSS:g} times the least reconstruction loss"
        self._choose("kl", records[chosen]["name"], why)
        return records[chosen]["name"], chosen

    def _regression_weight(self, framework, name, kl):
        """Step 3: the weight of least regression loss among those that keep reconstruction."""
        weights = {
            regression: Weights(1.0, kl, regression) for regression in REGRESSION_WEIGHTS[1:]
        }
        records = self._raised(framework, "regression", weights, name)
        fair = almost_best(records, REGRESSION_LOSS)
        chosen = min(fair, key=lambda w: fair[w]["validation regression"])
        why = (
            "the least regression loss of those with at most "
            f"{REGRESSION_LOSS:g} times the least reconstruction loss"
        )
        self._choose("regression", records[chosen]["name"], why)
        return records[chosen]["name"], chosen

    def _raised(self, framework, step, weights, name):
        """Records of phases of rising weights, each from the best weights of the one before."""
        records = {}
        for weight, of_loss in weights.items():
            phase = self._phase(f"{step}-{weight:g}", of_loss, step)
            records[weight] = self._train(framework, phase, name)
            name = phase.name
        return records

    def _framework(self, latent):
        """A framework with fresh weights, the same ones each time."""
        torch.manual_seed(self.plan.optimiser.seed)
        architecture = replace(self.plan.architecture, latent=latent)
        return Framework(architecture, self.plan.predictor, self.plan.scatter)

    def _phase(self, name, weights, step, **options):
        return Phase(name, weights, self.plan.epochs[step], **options)

    def _train(self, framework, phase, start):
        """Record of a phase, trained from the weights of another unless it is done already."""
        record = self.history.record(phase.name)
        if record is None:
            if start:
                self.trainer.load(framework, start)
            record = self.trainer.train(framework, phase)
            self.history.add(record, self.trainer.fabric.is_global_zero)
            if self.tell:
                self.tell.phase(record)
        else:
            self.trainer.load(framework, phase.name)
        self.trainer.checkpoint(phase).unlink(missing_ok=True)
        return record

    def _choose(self, step, name, why):
        self.history.choose(step, name, why, self.trainer.fabric.is_global_zero)


def almost_best(records, limit):
    """Those records whose reconstruction loss is at most ``limit`` times the least."""
    losses = {key: record["validation reconstruction"] for key, record in records.items()}
    allowed = limit * min(losses.values())
    return {key: record for key, record in records.items() if losses[key] <= allowed}
