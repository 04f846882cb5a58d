"""Labelled units that cost nothing, and surrogates that are trained in seconds."""

from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric

from homog.dataset import Cells, pack, write_dataset
from homog.units.family import unfold
from learn.data import Selection
from learn.framework import Batch, Framework, Weights
from learn.networks import Architecture
from learn.predictors import PredictorSettings
from learn.progressive import STEPS, Plan
from learn.train import train
from learn.training import Optimiser

torch.set_num_threads(1)

COUNT, EDGE = 120, 8  # units, voxels along an octant
SOLID = {"E": 70e3, "nu": 0.33}
SCATTER = 0.02
SOURCES = ("templates", "lattices", "isosurfaces")
SMALL = Architecture("fast", latent=3, octant=EDGE, width=24, depth=1)


@dataclass(frozen=True)
class Labels:
    """Of each unit: targets at the nominal solid and at one of its own, and their derivatives."""

    nominal: dict
    scattered: dict
    derivatives: dict


def octants(count=COUNT, edge=EDGE, seed=0):
    """Octants (count, edge, edge, edge) of sheets and bars, their fraction and shape in [0, 1]."""
    rng = np.random.default_rng(seed)
    fraction, shape = rng.uniform(0.15, 0.6, count), rng.random(count)
    x, y, z = np.cos(np.pi * (np.indices((edge,) * 3) + 0.5) / edge)
    single, pairs = x + y + z, x * y + y * z + z * x
    fields = (-single - 2 * shape[:, None, None, None] * pairs).round(9)  # equal where they are
    level = [np.quantile(f, q) for f, q in zip(fields, fraction, strict=True)]
    return fields <= np.array(level)[:, None, None, None], fraction, shape


def labels(fraction, shape, seed=0):
    """Smooth functions of what a unit looks like, linear in the solid."""
    rng = np.random.default_rng(seed)
    nominal = {
        "E": SOLID["E"] * fraction**2 * (1 + 0.5 * shape),
        "nu": 0.35 - 0.6 * shape * (1 - fraction),
    }
    nominal["K"] = nominal["E"] / (3 * (1 - 2 * nominal["nu"]))
    by = {
        "E": (nominal["E"] / SOLID["E"], 0.2 * nominal["E"]),
        "nu": (np.zeros_like(fraction), 0.4 + fraction),
        "K": (nominal["K"] / SOLID["E"], 0.5 * nominal["K"]),
    }
    own = [SOLID[name] * (1 + SCATTER * rng.standard_normal(len(fraction))) for name in SOLID]
    steps = [values - SOLID[name] for name, values in zip(SOLID, own, strict=True)]
    scattered = {
        name: nominal[name] + sum(d * s for d, s in zip(by[name], steps, strict=True))
        for name in nominal
    }
    derivatives = {
        f"d{name}_d{of}_solid": d
        for name, pair in by.items()
        for of, d in zip(SOLID, pair, strict=True)
    }
    return Labels(nominal, scattered, derivatives)


def groups(found, scatter=True):
    """Groups of a dataset file that hold some labels."""
    count = len(found.nominal["E"])
    columns = {
        **found.nominal,
        "status": np.zeros(count, np.int8),
        "message": np.zeros(count, "S200"),
    }
    attributes = {**SOLID, "scatter": SCATTER if scatter else 0.0, "tol": 1e-5}
    if not scatter:
        return {"labels": (attributes, columns)}
    return {
        "labels": (attributes, columns | found.derivatives),
        "scattered": (attributes, found.scattered),
    }


def cells(voxels, cubic=True):
    """Octants as the cells of a dataset, of three sources in turn."""
    count, edge = len(voxels), voxels.shape[1]
    whole = unfold(voxels)
    columns = {
        "volume_fraction": whole.mean((1, 2, 3)),
        "smallest_feature": np.ones(count, np.int16),
        "open_cell": np.ones(count, bool),
        "family": np.arange(count, dtype=np.int32) % len(SOURCES),
        "level": np.full(count, np.nan),
        "parameters": np.full((count, 1), np.nan),
    }
    families = [(source, source, ()) for source in SOURCES]
    packed = pack(voxels if cubic else whole)
    return Cells(packed, (2 * edge,) * 3, cubic, columns, families, {"command": "toy"})


def write_labelled(path, count=COUNT, scatter=True, edge=EDGE, change=None):
    """Write a labelled dataset; ``change`` may alter the groups before."""
    voxels, fraction, shape = octants(count, edge)
    content = groups(labels(fraction, shape), scatter)
    if change:
        change(content)
    write_dataset(path, cells(voxels), content)
    return path


def fabric(precision="32-true"):
    """One process on the CPU."""
    made = Fabric(accelerator="cpu", devices=1, precision=precision)
    made.launch()
    return made


def framework(settings=None, scatter=True, architecture=SMALL, seed=0):
    """A framework with random weights everywhere: fresh ones are zero in places."""
    torch.manual_seed(seed)
    made = Framework(architecture, settings or PredictorSettings(hidden=(16, 8)), scatter)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.eval()


def plan(epochs=2, latents=(3,), settings=None, optimiser=None, **options):
    """Of a training of seconds; ``epochs`` of each step."""
    return Plan(
        SMALL,
        settings or PredictorSettings(hidden=(16, 8)),
        latents,
        dict.fromkeys(STEPS, epochs) if isinstance(epochs, int) else epochs,
        optimiser or Optimiser(batch=16),
        **options,
    )


def selection(*targets, **options):
    return Selection(targets or ("E", "nu"), **options)


def batch(data, chosen):
    """Units of training data as the framework takes them."""
    y, log_scatter = data.standardised()
    return Batch(data.seen[chosen].float(), y[chosen], log_scatter[chosen])


def trained(path, folder):
    """Folder of a surrogate of E and nu that has learned something, from one short phase."""
    epochs = dict.fromkeys(STEPS, 1) | {"finish": 60, "predictor": 60}
    weights = Weights(1.0, 1e-4, 0.1)
    of = plan(epochs, optimiser=Optimiser(batch=8, patience=100), scratch=weights)
    train(path, folder, of, selection(), fabric())
    return folder
