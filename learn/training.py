"""Training of one phase: Adam, exponential decay, early stopping, and exact resume after a crash.

All randomness of an epoch follows from the seed, the phase and the epoch, so that a training that
goes on from its last checkpoint does the same steps as one that was never interrupted.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from homog.errors import DataError
from homog.files import write_atomically
from learn.framework import Batch, Weights

CHECKPOINT_SECONDS = 30.0  # of work that a crash may cost
JUDGED = 2048  # units a batch without gradients


@dataclass(frozen=True)
class Optimiser:
    """What all phases share.

    Parameters
    ----------
    batch : int
        Units a step, over all devices.
    decay : float
        Learning rate at the end of a phase, relative to that at its start.
    patience : int
        Epochs without a lower loss on validation after which a phase ends.
    keep_positive : float
        Share of the training units with positive Poisson's ratio that an epoch uses, drawn anew.
    seed : int
    shifts : bool
        Whether half of the units, drawn anew, are seen after a shift by half a cell.
    """

    batch: int = 128
    decay: float = 0.03
    patience: int = 20
    keep_positive: float = 0.6
    seed: int = 0
    shifts: bool = True


@dataclass(frozen=True)
class Phase:
    """One training run.

    Parameters
    ----------
    name : str
    weights : Weights
    epochs : int
        At most.
    learning_rate : float
        At the start.
    frozen : bool
        Whether only the predictor learns, on latent vectors that stay.
    tuning : bool
        Whether the weights that it starts from stay where no epoch gives better ones.
    """

    name: str
    weights: Weights
    epochs: int
    learning_rate: float = 1e-3
    frozen: bool = False
    tuning: bool = False

    @property
    def number(self):
        """Differs from phase to phase; seeds follow from it."""
        return int.from_bytes(self.name.encode(), "big") % (2**31)


@dataclass
class State:
    """Where a phase stands: what a checkpoint holds besides the tensors."""

    epoch: int = 0
    steps: int = 0
    best: float = float("inf")
    best_epoch: int = 0  # 0 is the start
    seconds: float = 0.0
    curves: list = None


class Trainer:
    """Trains phase after phase on the devices of a ``lightning_fabric.Fabric``.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric
        Launched.
    data : TrainingData
    optimiser : Optimiser
    folder : Path
        Of the checkpoints.
    progress : callable, optional
        Called after each epoch with the phase and its latest row of the curves.
    """

    def __init__(self, fabric, data, optimiser, folder, progress=None):
        self.fabric, self.data, self.optimiser = fabric, data, optimiser
        self.folder, self.progress = Path(folder), progress
        self.y, self.log_scatter = data.standardised()

    def checkpoint(self, phase):
        """File of a phase under way."""
        return self.folder / f"{phase.name}.checkpoint.safetensors"

    def weights_file(self, name):
        """File of the best weights of a finished phase."""
        return self.folder / f"{name}.safetensors"

    def train(self, framework, phase):
        """Train a phase, or go on with it; the framework ends with the best weights.

        Parameters
        ----------
        framework : Framework
            With the weights to start from.
        phase : Phase

        Returns
        -------
        dict
            Record of the phase: weights, losses on training and validation, epochs, seconds.
        """
        parameters = learned(framework, phase)
        adam = torch.optim.Adam(parameters, lr=phase.learning_rate)
        learning, adam = self.fabric.setup(framework, adam)
        run = _Run(self, phase, framework, learning, adam)
        run.begin()
        while not run.finished():
            run.epoch()
        record = run.close()
        framework.requires_grad_(True)
        return record

    def load(self, framework, name):
        """Give a framework the best weights of a finished phase, as far as the shapes agree."""
        tensors, _ = read_tensors(self.weights_file(name))
        framework.load_state_dict(tensors)

    def units(self, chosen, z=None):
        """Units of some indices on the device, or their latent vectors instead of octants."""
        device = self.fabric.device
        scatter = None if self.log_scatter is None else self.log_scatter[chosen].to(device)
        y = self.y[chosen].to(device)
        if z is not None:
            return Batch(None, y, scatter, z[chosen].to(device))
        return Batch(self.data.seen[chosen].to(device).float(), y, scatter)

    def latent(self, framework, shifted=False):
        """Means of z of all units, (n, latent), or of these after a shift by half a cell."""
        return latent_means(framework.eval(), self.data.seen, shifted)


class _Run:
    """A phase under way."""

    def __init__(self, trainer, phase, framework, learning, adam):
        self.trainer, self.phase, self.fabric = trainer, phase, trainer.fabric
        self.framework, self.learning, self.adam = framework, learning, adam
        self.state, self.saved = State(curves=[]), time.monotonic()
        self.best = _copied(framework)
        self.z = trainer.latent(framework) if phase.frozen else None
        self.shifted_z = None
        if phase.frozen and trainer.optimiser.shifts:
            self.shifted_z = trainer.latent(framework, shifted=True)
        share = trainer.optimiser.batch // self.fabric.world_size
        self.batch = max(1, share)
        self.training = trainer.data.members("training")
        self.validation = torch.from_numpy(trainer.data.members("validation"))

    def begin(self):
        """Take up the last checkpoint, if there is one; else judge the start where it may stay."""
        path = self.trainer.checkpoint(self.phase)
        if not path.exists():
            if self.phase.tuning:
                self._judge({})
            return
        tensors, state = read_tensors(path)
        self.framework.load_state_dict(_under("model.", tensors))
        self.best = _under("best.", tensors)
        adam = _under("adam.", tensors)
        device = self.fabric.device
        for index, parameter in enumerate(self.adam.param_groups[0]["params"]):
            moments = {name: adam[f"{index}.{name}"].to(device) for name in MOMENTS}
            step = torch.tensor(float(state["steps"]))
            self.adam.state[parameter] = {"step": step, **moments}
        self.state = State(**state)

    def finished(self):
        state, optimiser = self.state, self.trainer.optimiser
        waited = state.epoch - state.best_epoch
        return state.epoch >= self.phase.epochs or waited >= optimiser.patience

    def chosen(self):
        """Indices of the units of this epoch, in their order, those of this device."""
        optimiser, data = self.trainer.optimiser, self.trainer.data
        rng = np.random.default_rng([optimiser.seed, self.phase.number, self.state.epoch])
        auxetic = data.auxetic[self.training]
        positive = self.training[~auxetic]
        kept = rng.permutation(positive)[: round(optimiser.keep_positive * len(positive))]
        order = rng.permutation(np.concatenate([self.training[auxetic], kept]))
        whole = self.batch * self.fabric.world_size
        if len(order) >= whole:
            order = order[: len(order) // whole * whole]  # the rest waits for another epoch
        return torch.from_numpy(order[self.fabric.global_rank :: self.fabric.world_size])

    def epoch(self):
        """Train an epoch, judge it, and save it if it is time to."""
        start = time.monotonic()
        seed = [self.trainer.optimiser.seed, self.phase.number, self.state.epoch]
        draw = np.random.SeedSequence([*seed, self.fabric.global_rank]).generate_state(1)[0]
        torch.manual_seed(int(draw))
        self.learning.train()
        sums, order = {}, self.chosen()
        for chosen in order.split(self.batch):
            self._rate(len(order) / self.batch)
            terms = self.learning(self._units(chosen), self.phase.weights)
            self.adam.zero_grad(set_to_none=True)
            self.fabric.backward(terms["total"])
            self.fabric.clip_gradients(self.learning, self.adam, max_norm=5.0)
            self.adam.step()
            self.state.steps += 1
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.detach() * len(chosen)
        found = {f"training {k}": float(v) / len(order) for k, v in sums.items()}
        self.state.epoch += 1
        self.state.seconds += time.monotonic() - start
        self._judge(found)
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()
        if self.trainer.progress:
            self.trainer.progress(self.phase, self.state.curves[-1])

    def _units(self, chosen):
        """Units of a step, some of them after a shift by half a cell."""
        batch = self.trainer.units(chosen, self.z)
        if not self.trainer.optimiser.shifts:
            return batch
        some = torch.rand(len(chosen)) < 0.5
        if self.z is not None:
            z = torch.where(some[:, None], self.shifted_z[chosen], self.z[chosen])
            return Batch(None, batch.y, batch.log_scatter, z.to(self.fabric.device))
        some = some.to(self.fabric.device)
        batch.seen[some] = self.framework.vae.domain.shifted(batch.seen[some])
        return batch

    def _rate(self, steps):
        """Learning rate of this step: exponential decay over the phase, after a short rise."""
        phase, done = self.phase, self.state.steps
        rate = phase.learning_rate * self.trainer.optimiser.decay ** (done / (steps * phase.epochs))
        for group in self.adam.param_groups:
            group["lr"] = rate * min(1.0, (done + 1) / 100)

    def _judge(self, found):
        """Add a row of the curves with the losses on validation; keep the best weights."""
        start = time.monotonic()
        found |= {f"validation {k}": v for k, v in self.losses(self.validation).items()}
        state = self.state
        if found["validation total"] < state.best:
            state.best, state.best_epoch = found["validation total"], state.epoch
            self.best = _copied(self.framework)
        state.seconds += time.monotonic() - start
        rate = self.adam.param_groups[0]["lr"]
        state.curves.append({"epoch": state.epoch, "learning rate": rate, **found})

    @torch.no_grad()
    def losses(self, units):
        """Mean terms of the loss over units, z at its mean."""
        self.framework.eval()
        sums = {}
        for chosen in units.split(JUDGED):
            terms = self.framework(
                self.trainer.units(chosen, self.z), self.phase.weights, sample=False
            )
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(chosen)
        return {name: value / len(units) for name, value in sums.items()}

    def save(self):
        """Write a checkpoint: whole or not at all."""
        self.saved = time.monotonic()
        if not self.fabric.is_global_zero:
            return
        tensors = {f"model.{k}": v for k, v in _copied(self.framework).items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for index, parameter in enumerate(self.adam.param_groups[0]["params"]):
            for name in MOMENTS:
                moment = self.adam.state[parameter][name]
                tensors[f"adam.{index}.{name}"] = moment.detach().cpu().contiguous()
        write_tensors(self.trainer.checkpoint(self.phase), tensors, asdict(self.state))

    def close(self):
        """Restore the best weights, write them, and return the record of the phase."""
        self.framework.load_state_dict(self.best)
        state = self.state
        rows = state.curves
        best = next((row for row in rows if row["epoch"] == state.best_epoch), rows[-1])
        record = {
            "name": self.phase.name,
            "weights": self.phase.weights._asdict(),
            "epochs": state.epoch,
            "best epoch": state.best_epoch,
            "seconds": round(state.seconds, 1),
            **{k: v for k, v in best.items() if " " in k},
            "curves": state.curves,
        }
        if self.fabric.is_global_zero:
            write_tensors(self.trainer.weights_file(self.phase.name), self.best, {})
        self.fabric.barrier()
        return record


MOMENTS = ("exp_avg", "exp_avg_sq")


@torch.no_grad()
def latent_means(framework, seen, shifted=False):
    """Means of z, (n, latent) tensor on the CPU, of octants as the network sees them."""
    device = framework.vae.domain.weights.device
    parts = (part.to(device).float() for part in seen.split(JUDGED))
    if shifted:
        parts = map(framework.vae.domain.shifted, parts)
    return torch.cat([framework.vae.encode_seen(part)[0].cpu() for part in parts])


def learned(framework, phase):
    """Parameters that a phase changes; no gradients are computed for the others.

    Checkpoints need the moments of each, and DDP a gradient of each.
    """
    framework.requires_grad_(True)
    if phase.frozen:
        framework.vae.requires_grad_(False)
    if not phase.weights.regression:
        framework.predictor.requires_grad_(False)
        if framework.scatter is not None:
            framework.scatter.requires_grad_(False)
    return [p for p in framework.parameters() if p.requires_grad]


def _copied(module):
    """Tensors of a module on the CPU, copied, so that they stay as they are."""
    return {k: v.detach().cpu().clone().contiguous() for k, v in module.state_dict().items()}


def _under(prefix, tensors):
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def write_tensors(path, tensors, state):
    """Write tensors and a JSON object in the safetensors format, whole or not at all."""
    write_atomically(path, save(tensors, {"state": json.dumps(state)}))


def read_tensors(path):
    """Tensors and JSON object of a file of ``write_tensors``; nothing in it is executed.

    Raises
    ------
    DataError
        If the file is missing, damaged, or something else.
    """
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads((file.metadata() or {}).get("state", "{}"))
    except Exception as error:  # safetensors raises an error class of its own, not a subclass
        raise DataError(f"{path}: not a file of weights, or damaged ({error})") from error
    return tensors, state
