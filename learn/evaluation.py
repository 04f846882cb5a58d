"""How good a surrogate is: on the units it was trained on, and on those it never saw."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from homog.dataset import Dataset
from homog.errors import DataError, naming
from learn import metrics
from learn.calibration import nearest
from learn.data import PARTS, Selection, training_data
from learn.uncertainty import fixed_draws

FAR = 0.05  # share of the test units that are farthest from the training units
CASES = 3  # best and worst predicted
LEVEL = 0.9


@dataclass(frozen=True)
class Judged:
    """Predictions of the units of one part.

    Parameters
    ----------
    rows : (n,) int array
        Of the dataset.
    nominal, observed : (n, targets) array
        True values at the nominal solid, and at a solid of each unit's own.
    scatter : (n, targets) array or None
        True deviation under scatter of the solid, to first order.
    accuracy : (n,) array
        Of the voxels.
    raw, calibrated : dict
        ``{target: Prediction}`` before and after recalibration.
    z : (n, latent) array
    """

    rows: np.ndarray
    nominal: np.ndarray
    observed: np.ndarray
    scatter: np.ndarray | None
    accuracy: np.ndarray
    raw: dict
    calibrated: dict
    z: np.ndarray


class Evaluation:
    """A surrogate judged on a labelled dataset.

    Parameters
    ----------
    surrogate : Surrogate
    path : str or Path
        The dataset that it was trained on, or another one: then all its units are test units.
    samples : int
        See ``Surrogate.predict_octants``.
    progress : callable, optional
        Called for each part.

    Raises
    ------
    DataError
        If the dataset does not fit the surrogate.
    """

    def __init__(self, surrogate, path, samples=80, progress=None):
        self.surrogate, self.path, self.samples = surrogate, path, samples
        origin = surrogate.origin
        selection = Selection(surrogate.targets, origin["split seed"])
        with naming(path), Dataset(path) as dataset:
            self.data = training_data(dataset, selection, surrogate.architecture)
            surrogate.check_solid(self.data.origin)
            if self.data.origin["units"] in origin.get("extra", ()):
                raise DataError("all of these units trained the surrogate; judge it with others")
        self.own = origin["units"] == self.data.origin["units"]
        parts = PARTS if self.own else ("test",)
        if not self.own:
            self.data.part[:] = PARTS.index("test")
        self.parts = {}
        for name in parts:
            self.parts[name] = self._judge(self.data.members(name))
            if progress:
                progress()

    def octants(self, chosen):
        """Octants of some units of the data, (k, n, n, n) bool array."""
        return self.data.octants(chosen, self.surrogate.framework.vae.domain)

    def _judge(self, chosen):
        surrogate, data = self.surrogate, self.data
        z, accuracy, parts = [], [], []
        for some in np.array_split(chosen, max(1, len(chosen) // 1000)):
            octants = self.octants(some)
            z.append(surrogate.encode(octants))
            accuracy.append(metrics.voxel_accuracy(octants, surrogate.decode(z[-1])))
            parts.append(surrogate.sampled_octants(octants, self.samples))
        z, sampled = np.concatenate(z), [np.concatenate(part) for part in zip(*parts, strict=True)]
        return Judged(
            data.rows[chosen],
            data.nominal[chosen],
            data.observed[chosen],
            None if data.scatter is None else data.scatter[chosen],
            np.concatenate(accuracy),
            surrogate.predictions(sampled, calibrated=False),
            surrogate.predictions(sampled),
            z,
        )

    @cached_property
    def far(self):
        """Which test units are farthest from the training units, (n,) bool array, or None."""
        if not self.own:
            return None
        distance = nearest(self.parts["test"].z, self.parts["training"].z)
        return distance >= np.quantile(distance, 1 - FAR)

    def accuracy(self):
        """Reconstruction and prediction of each part (Table 2): ``{part: {measure: value}}``."""
        span = self.data.range() if self.own else np.ptp(self.data.nominal, axis=0)
        found = {}
        for name, judged in self.parts.items():
            row = {"units": len(judged.z), "voxel accuracy": float(judged.accuracy.mean())}
            for i, target in enumerate(self.surrogate.targets):
                truth, mean = judged.nominal[:, i], judged.calibrated[target].mean
                row[f"R2 {target}"] = float(metrics.r2(truth, mean))
                row[f"NRMSE {target}"] = float(metrics.nrmse(truth, mean, span[i]))
            row |= self._bulk_modulus(judged)
            found[name] = row
        return found

    def _bulk_modulus(self, judged):
        """R2 of K through E and nu (Eq. 17), if both are targets."""
        names = self.surrogate.targets
        if not {"E", "nu"} <= set(names):
            return {}
        E, nu = (judged.nominal[:, names.index(name)] for name in ("E", "nu"))
        truth, mean = (
            E / (3 * (1 - 2 * nu))
            for E, nu in ((E, nu), [judged.calibrated[k].mean for k in ("E", "nu")])
        )
        return {"R2 K by Eq. 17": float(metrics.r2(truth, mean))}

    def uncertainty(self):
        """Calibration on test units: ``{target: {measure: value}}``.

        The truth is what was observed: properties at a solid of each unit's own.
        """
        judged, far = self.parts["test"], self.far
        found, stated = {}, self.stated_deviation(judged.z)
        for i, target in enumerate(self.surrogate.targets):
            truth, row = judged.observed[:, i], {}
            for name, made in (("raw", judged.raw), ("recalibrated", judged.calibrated)):
                row |= {f"{k}, {name}": v for k, v in scores(truth, made[target]).items()}
            if far is not None:
                ends = (end[far] for end in judged.calibrated[target].interval(LEVEL))
                row["90 % coverage, far"] = float(metrics.coverage(truth[far], *ends))
            if judged.scatter is not None:
                ratio = judged.calibrated[target].aleatoric / judged.scatter[:, i]
                row["aleatoric, predicted / true"] = float(np.median(ratio))
                ratio = stated[:, i] / judged.scatter[:, i]
                row["deviation of the predictor / true aleatoric"] = float(np.median(ratio))
            found[target] = row
        return found

    def stated_deviation(self, z):
        """Deviation that the predictor itself states at z, (n, targets): aleatoric by Eq. 7."""
        return self.surrogate.predict(z).stddev.cpu().numpy()

    def reliability(self):
        """Coverage of central intervals on test units: ``{target: {"raw": ..., ...}}``."""
        judged, found = self.parts["test"], {}
        for i, target in enumerate(self.surrogate.targets):
            found[target] = {
                name: [
                    float(metrics.coverage(judged.observed[:, i], *made[target].interval(level)))
                    for level in metrics.LEVELS
                ]
                for name, made in (("raw", judged.raw), ("recalibrated", judged.calibrated))
            }
        return found

    def convergence(self, counts=range(10, 101, 10), units=3, seed=0):
        """Total deviation over the number of samples (Figure B1), of some validation units.

        Returns
        -------
        counts : list of int
        totals : dict
            ``{target: (units, counts) array}``
        """
        judged = self.parts.get("validation", self.parts["test"])
        chosen = np.random.default_rng(seed).permutation(len(judged.z))[:units]
        rows = [
            self.surrogate.predict_with_uncertainty(judged.z[chosen], count) for count in counts
        ]
        names = self.surrogate.targets
        return list(counts), {k: np.column_stack([row[k].total for row in rows]) for k in names}

    def cases(self, target, realisations=80):
        """Best and worst predicted units of all parts (Table 3), as a list of dicts."""
        i = self.surrogate.targets.index(target)
        every = [(name, k) for name, j in self.parts.items() for k in range(len(j.z))]
        error = np.concatenate(
            [np.abs(j.nominal[:, i] - j.calibrated[target].mean) for j in self.parts.values()]
        )
        order = np.argsort(error, kind="stable")
        chosen = [*order[:CASES], *order[-CASES:]]
        return [self._case(*every[k], i, target, float(error[k]), realisations) for k in chosen]

    def _case(self, part, k, i, target, error, realisations):
        judged = self.parts[part]
        case = {"part": part, "unit": int(judged.rows[k]), "index": int(k), "error": error}
        octant, made = self.realisations(case, realisations)
        difference = metrics.relative_voxel_difference(octant[None], made[None])
        case["relative voxel difference"] = float(difference[0])
        for name in ("mean", "total", "aleatoric", "epistemic"):
            case[name] = float(getattr(judged.calibrated[target], name)[k])
        case["deviation of the predictor"] = float(self.stated_deviation(judged.z[k : k + 1])[0, i])
        if judged.scatter is not None:
            case["true aleatoric"] = float(judged.scatter[k, i])
        return case

    def realisations(self, case, count):
        """Octant of a case, and occupancies (count, n, n, n) of samples of its latent space."""
        place = self.data.members(case["part"])[case["index"]]
        octant = self.octants([place])
        mean, deviation = self.surrogate.encode_with_deviation(octant)
        draws = fixed_draws(count, self.surrogate.architecture.latent).numpy()
        return octant[0], self.surrogate.decode(mean + deviation * draws)

    @property
    def main_target(self):
        """The target that cases are chosen by: nu, as in the publication, if it is one."""
        return "nu" if "nu" in self.surrogate.targets else self.surrogate.targets[0]

    def extremes(self, count=5):
        """Test units that are reconstructed best and worst: their indices into the part."""
        order = np.argsort(self.parts["test"].accuracy, kind="stable")
        return order[::-1][:count], order[:count]

    def summary(self):
        """All numbers, as JSON takes them."""
        levels = metrics.LEVELS.tolist()
        return {
            "accuracy": self.accuracy(),
            "uncertainty": self.uncertainty(),
            "reliability": {"levels": levels, **self.reliability()},
            "samples": self.samples,
            "own units": self.own,
        }


def scores(truth, prediction):
    """Scores of one target: ``{measure: value}``, of lengths in the unit of the target."""
    mean, total = prediction.mean, prediction.total
    return {
        "NLL": float(metrics.gaussian_nll(truth, mean, total)),
        "CRPS": float(metrics.gaussian_crps(truth, mean, total)),
        "sharpness": float(total.mean()),
        "90 % coverage": float(metrics.coverage(truth, *prediction.interval(LEVEL))),
        "calibration error": float(metrics.calibration_error(truth, prediction.interval)),
    }


PAPER = {  # Table 2 of the publication, and Table D1 of its deterministic variant
    "training": {"voxel accuracy": 0.9833, "R2 E": 0.9932, "NRMSE E": 0.0114,
                 "R2 nu": 0.9795, "NRMSE nu": 0.0180},
    "validation": {"voxel accuracy": 0.9823, "R2 E": 0.9862, "NRMSE E": 0.0167,
                   "R2 nu": 0.9449, "NRMSE nu": 0.0233},
    "test": {"voxel accuracy": 0.9824, "R2 E": 0.9857, "NRMSE E": 0.0171,
             "R2 nu": 0.9435, "NRMSE nu": 0.0226},
}  # fmt: skip
PAPER_DETERMINISTIC = {
    "training": {"voxel accuracy": 0.9901, "R2 E": 0.9870, "R2 nu": 0.9214},
    "validation": {"voxel accuracy": 0.9806, "R2 E": 0.9846, "R2 nu": 0.9201},
    "test": {"voxel accuracy": 0.9812, "R2 E": 0.9855, "R2 nu": 0.9203},
}


def table(summary, deterministic=False):
    """The numbers of a summary as text, the publication's in brackets.

    Parameters
    ----------
    summary : dict
        Of ``Evaluation.summary``.
    deterministic : bool
        Whether to compare with Table D1 instead of Table 2.

    Returns
    -------
    str
    """
    accuracy, uncertainty = summary["accuracy"], summary["uncertainty"]
    paper = PAPER_DETERMINISTIC if deterministic else PAPER
    lines = [f"{'':<18}" + "".join(f"{name:>20}" for name in accuracy)]
    for name in next(iter(accuracy.values())):
        cells = (_beside(row[name], paper[part].get(name)) for part, row in accuracy.items())
        lines.append(f"{name:<18}" + "".join(f"{cell:>20}" for cell in cells))
    lines += ["", f"{'test units':<46}" + "".join(f"{name:>12}" for name in uncertainty)]
    for name in next(iter(uncertainty.values())):
        cells = (f"{row[name]:>12.4g}" for row in uncertainty.values())
        lines.append(f"{name:<46}" + "".join(cells))
    return "\n".join(lines)


def _beside(value, paper):
    ours = str(value) if isinstance(value, int) else f"{value:.4f}"
    return ours if paper is None else f"{ours} ({paper:.4f})"
