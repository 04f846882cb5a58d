"""A surrogate that learns from units it has proposed: verified designs join the training units.

The autoencoder stays, so that latent vectors keep their meaning. The predictor goes on from its
weights, on labelled units like those that are sought and on the verified ones, which count for
more; then uncertainty is recalibrated on the part of both that was held out.
"""

import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from homog.dataset import Dataset
from homog.errors import DataError, naming
from homog.files import make_folder
from learn.data import PARTS, Selection, training_data
from learn.framework import Weights
from learn.progressive import HISTORY, History
from learn.train import CHECKPOINTS, clear, finished
from learn.training import Optimiser, Phase, Trainer

TRAINING, VALIDATION, TEST = range(len(PARTS))
SHARE = 0.5  # of the steps that go to verified designs, if they need not be repeated too often
MOST = 16  # times that a verified design counts


@dataclass(frozen=True)
class Refinement:
    """How a surrogate is updated.

    Parameters
    ----------
    epochs : int
        At most.
    learning_rate : float
        At the start.
    nearest : int
        Labelled units to learn from, those nearest in volume fraction to the verified designs.
    seed : int
    """

    epochs: int = 60
    learning_rate: float = 5e-4
    nearest: int = 4000
    seed: int = 0


def updated(surrogate, known, verified, folder, fabric, refinement=Refinement()):
    """Update the predictor of a surrogate; continues where an interrupted run stopped.

    Parameters
    ----------
    surrogate : Surrogate
    known : str or Path
        Labelled dataset, of the solid that the surrogate was trained for.
    verified : sequence of str or Path
        Labelled datasets of designs.
    folder : str or Path
        Of the updated surrogate.
    fabric : lightning_fabric.Fabric
    refinement : Refinement

    Returns
    -------
    Surrogate

    Raises
    ------
    DataError
        If labels are of another solid, or too few.
    """
    folder = Path(folder)
    data = _joined(surrogate, known, verified, refinement)
    make_folder(folder, parents=True)
    make_folder(folder / CHECKPOINTS)
    origin = {
        **surrogate.origin,
        "update": {"units": data.origin["units"], "rounds": len(verified)},
    }
    history = History(folder, f"{origin} {refinement}")
    framework = copy.deepcopy(surrogate.framework)
    trainer = Trainer(fabric, data, _optimiser(refinement), folder / CHECKPOINTS)
    phase = Phase(
        "update", Weights(regression=1.0), refinement.epochs, refinement.learning_rate, frozen=True
    )
    record = history.record(phase.name)
    if record:
        trainer.load(framework, phase.name)
    else:
        history.add(trainer.train(framework, phase))
    selection = Selection(surrogate.targets, surrogate.origin["split seed"])
    made = finished(framework, data, selection, origin)
    made.save(folder)
    clear(folder / CHECKPOINTS)
    (folder / HISTORY).unlink()
    return made


def _optimiser(refinement):
    return Optimiser(patience=15, keep_positive=1.0, seed=refinement.seed)


def _joined(surrogate, known, verified, refinement):
    """Training data of known units and verified designs, as the surrogate standardises them."""
    designs = [_read(surrogate, path) for path in verified]
    aim = np.median(np.concatenate([data.density for data in designs]))
    parts = [_read(surrogate, known, aim, refinement.nearest), *designs]
    verified_count = sum(len(part.data.rows) for part in designs)
    times = SHARE / (1 - SHARE) * len(parts[0].data.rows) / max(verified_count, 1)
    times = int(np.clip(round(times), 1, MOST))
    return _concatenated([parts[0].data] + [part.data for part in designs] * times)


@dataclass(frozen=True)
class _Part:
    data: object
    density: np.ndarray


def _read(surrogate, path, aim=None, nearest=None):
    """Training data of a labelled dataset, none of it for testing."""
    selection = Selection(surrogate.targets, surrogate.origin["split seed"])
    with naming(path), Dataset(path) as dataset:
        density = dataset.volume_fraction
        if aim is not None:
            chosen = np.argsort(np.abs(density - aim), kind="stable")[:nearest]
            dataset = dataset.select(np.sort(chosen))
            density = dataset.volume_fraction
        data = training_data(
            dataset, selection, surrogate.architecture, scaler=surrogate.scaler, least=1
        )
        if any(surrogate.origin[name] != data.origin[name] for name in ("E", "nu")):
            raise DataError("labels of another solid than the surrogate's; label it again")
    if (data.scatter is None) != (surrogate.framework.scatter is None):
        raise DataError(f"{path}: label it with the scatter that the surrogate was trained with")
    part = np.where(data.part == TEST, TRAINING, data.part)
    return _Part(replace(data, part=part), density)


def _concatenated(parts):
    """One set of training data of several with the same scaler."""
    joined = {}
    for entry in fields(parts[0]):
        values = [getattr(part, entry.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            joined[entry.name] = np.concatenate(values)
        elif isinstance(values[0], torch.Tensor):
            joined[entry.name] = torch.cat(values)
    return replace(parts[0], **joined)
