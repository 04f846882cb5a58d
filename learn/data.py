"""Training data: labelled units as tensors, split, selected and standardised."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from homog.dataset import Dataset
from homog.errors import DataError, ParameterError, naming
from homog.summary import dataset_hash
from homog.units.distinct import Distinct
from learn.networks import make_domain

PARTS = ("training", "validation", "test")
SHARES = (0.70, 0.15, 0.15)
SOLID = ("E", "nu", "scatter", "tol")  # what labels are of, besides units
SLICE = 2000  # units read at a time
FLOOR = 1e-7  # of standardised deviations, so that logarithms are finite


@dataclass(frozen=True)
class Selection:
    """Which units train, and on what.

    Parameters
    ----------
    targets : tuple of str
        Columns of the labels.
    seed : int
        Of the split.
    keep_positive : float
        Share of the training units with positive Poisson's ratio that each epoch uses.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    targets: tuple = ("E", "nu")
    seed: int = 0
    keep_positive: float = 0.6

    def __post_init__(self):
        object.__setattr__(self, "targets", tuple(self.targets))
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ParameterError(f"targets must be distinct names, got {list(self.targets)}")
        if not 0 < self.keep_positive <= 1:
            raise ParameterError(f"share to keep must lie in (0, 1], got {self.keep_positive}")


@dataclass(frozen=True)
class Scaler:
    """Standardises targets: y = (value - mean) / deviation."""

    mean: np.ndarray
    deviation: np.ndarray

    def standardise(self, values):
        return (values - self.mean) / self.deviation

    def restore(self, y):
        return y * self.deviation + self.mean


@dataclass(frozen=True)
class TrainingData:
    """Labelled units for training and judging.

    Parameters
    ----------
    rows : (n,) int array
        Of the dataset that the units are from: those without labels are left out.
    seen : (n, ...) uint8 tensor
        Octants as the network sees them.
    nominal, observed : (n, targets) array
        Targets at the nominal solid, and at a solid of each unit's own (the same without scatter).
    scatter : (n, targets) array or None
        Deviation of the targets under scatter of the solid, from the sensitivities.
    auxetic : (n,) bool array
        Whether Poisson's ratio is negative.
    part : (n,) int array
        Index into ``PARTS``.
    scaler : Scaler
    origin : dict
        What identifies the labels: hash of the units, solid, scatter, and hashes of extra units.
    """

    rows: np.ndarray
    seen: torch.Tensor
    nominal: np.ndarray
    observed: np.ndarray
    scatter: np.ndarray | None
    auxetic: np.ndarray
    part: np.ndarray
    scaler: Scaler
    origin: dict

    def members(self, part):
        """Indices of the units of a part."""
        return np.flatnonzero(self.part == PARTS.index(part))

    def octants(self, chosen, domain):
        """Octants of some units, (k, n, n, n) bool array, of what a domain reduced them to."""
        device = domain.weights.device
        parts = self.seen[torch.as_tensor(chosen)].split(1000)
        solid = [(domain.expand(part.float().to(device)) > 0.5).cpu() for part in parts]
        return torch.cat(solid).numpy()

    def range(self):
        """Largest minus smallest value of each target over training and validation (Eq. 14)."""
        known = self.nominal[self.part < 2]
        return known.max(0) - known.min(0)

    def standardised(self):
        """Targets (n, targets) and log deviations (or None) as tensors."""
        y = torch.tensor(self.scaler.standardise(self.observed), dtype=torch.float32)
        if self.scatter is None:
            return y, None
        scatter = np.maximum(self.scatter / self.scaler.deviation, FLOOR)
        return y, torch.tensor(np.log(scatter), dtype=torch.float32)


def split(source, seed):
    """Part of each unit, 70 / 15 / 15, in the same proportion from every source.

    Parameters
    ----------
    source : (n,) array of str
    seed : int

    Returns
    -------
    (n,) int array
        Index into ``PARTS``.
    """
    rng = np.random.default_rng(seed)
    part = np.empty(len(source), int)
    for name in np.unique(source):
        members = rng.permutation(np.flatnonzero(source == name))
        ends = np.round(np.cumsum(SHARES)[:2] * len(members)).astype(int)
        for index, chosen in enumerate(np.split(members, ends)):
            part[chosen] = index
    return part


def training_data(dataset, selection, architecture):
    """Read what training needs from a labelled dataset.

    Parameters
    ----------
    dataset : homog.Dataset
        Of cubic cells with labels.
    selection : Selection
    architecture : Architecture
        Says how octants are seen; its ``octant`` must fit the dataset.

    Returns
    -------
    TrainingData

    Raises
    ------
    DataError
        If the dataset has no labels, not the targets, or cells of another kind.
    """
    check_dataset(dataset, selection.targets, architecture.octant)
    nominal, observed, scatter = targets(dataset, selection.targets)
    good = (
        (dataset.labels["status"] == 0) & np.isfinite(nominal).all(1) & np.isfinite(observed).all(1)
    )
    if np.count_nonzero(good) < 20:
        raise DataError(f"only {np.count_nonzero(good)} units have labels; label more")
    rows = np.flatnonzero(good)
    part = split(dataset.source, selection.seed)[rows]
    known = observed[rows][part == 0]
    if not np.all(np.ptp(known, axis=0) > 0):  # rounding may leave a deviation
        raise DataError("a target has the same value in all units; choose another")
    solid = dict(dataset.labels.attributes)
    return TrainingData(
        rows=rows,
        seen=seen_octants(dataset, rows, architecture),
        nominal=nominal[rows],
        observed=observed[rows],
        scatter=None if scatter is None else scatter[rows],
        auxetic=dataset.labels["nu"][rows] < 0,
        part=part,
        scaler=Scaler(known.mean(0), known.std(0)),
        origin={
            "units": dataset_hash(dataset),
            **{name: float(solid[name]) for name in SOLID},
        },
    )


def with_extra(data, paths, selection, architecture):
    """Training data with further units, all of them for training: they judge and choose nothing.

    Near-duplicates of validation and test units are left out (see ``homog.units.distinct``).

    Parameters
    ----------
    data : TrainingData
    paths : sequence of str or Path
        Labelled datasets, of the same solid, scatter and tolerance.
    selection : Selection
    architecture : Architecture

    Returns
    -------
    TrainingData
        The scaler is that of ``data``.

    Raises
    ------
    DataError
        If a dataset has no such labels, or cells of another kind.
    """
    if not paths:
        return data
    domain, judges = make_domain(architecture), Distinct()
    for octant in data.octants(np.flatnonzero(data.part > 0), domain):
        judges.add(octant)
    for path in paths:
        with naming(path), Dataset(path) as dataset:
            more = training_data(dataset, selection, architecture)
            if any(more.origin[name] != data.origin[name] for name in SOLID):
                raise DataError("labels of another solid, scatter or tolerance; label it again")
            if (more.scatter is None) != (data.scatter is None):
                raise DataError("only one of the datasets has labels of scattered solids")
        slices = np.split(np.arange(len(more.rows)), range(SLICE, len(more.rows), SLICE))
        octants = (octant for some in slices for octant in more.octants(some, domain))
        new = np.array([not judges.has(octant) for octant in octants])
        data = _joined(data, more, new)
    return data


def _joined(data, more, chosen):
    """Training data and the chosen units of other data, as further training units."""
    columns = {
        name: np.concatenate([getattr(data, name), getattr(more, name)[chosen]])
        for name in ("rows", "nominal", "observed", "auxetic")
    }
    scatter = None
    if data.scatter is not None:
        scatter = np.concatenate([data.scatter, more.scatter[chosen]])
    part = np.full(np.count_nonzero(chosen), PARTS.index("training"))
    return replace(
        data,
        **columns,
        seen=torch.cat([data.seen, more.seen[torch.from_numpy(chosen)]]),
        scatter=scatter,
        part=np.concatenate([data.part, part]),
        origin={**data.origin, "extra": [*data.origin.get("extra", []), more.origin["units"]]},
    )


def check_dataset(dataset, names, octant):
    """Refuse a dataset that cannot train a surrogate of these targets and octants."""
    if not dataset.cubic:
        raise DataError("not all cells are cubic; a surrogate learns cubic cells only")
    if not len(dataset.labels):
        raise DataError("the units have no labels yet; run homog label first")
    if dataset.stored_shape != (octant,) * 3:
        raise DataError(f"expected octants of {octant} voxels, got {dataset.stored_shape[0]}")
    numbers = [name for name in dataset.labels if name not in ("status", "message")]
    for name in names:
        if name not in numbers:
            raise DataError(f"no label {name!r} to learn; there are {', '.join(sorted(numbers))}")


def targets(dataset, names):
    """Targets at the nominal solid, at solids of the units' own, and their deviation or None."""
    labels, scattered, solid = dataset.labels, dataset.scattered, dict(dataset.labels.attributes)
    nominal = np.column_stack([labels[name] for name in names])
    if not len(scattered):
        return nominal, nominal, None
    observed = np.column_stack(
        [scattered[name] if name in scattered else labels[name] for name in names]
    )
    by = [[f"d{name}_d{of}" for of in ("E_solid", "nu_solid")] for name in names]
    if any(name not in labels for pair in by for name in pair):
        return nominal, observed, None
    steps = [solid["scatter"] * solid[name] for name in ("E", "nu")]
    scatter = [np.hypot(*(labels[d] * s for d, s in zip(p, steps, strict=True))) for p in by]
    return nominal, observed, np.column_stack(scatter)


def seen_octants(dataset, rows, architecture):
    """Octants of rows of a dataset as the network sees them, (n, ...) uint8 tensor."""
    domain = make_domain(architecture)
    part, octants = [], dataset.select(rows).octants
    for start in range(0, len(rows), SLICE):
        octant = torch.from_numpy(octants[start : start + SLICE]).float()
        part.append(domain.reduce(octant).round().to(torch.uint8))
    return torch.cat(part)
