"""A surrogate corrected by what it got wrong: kriging of its residuals in the latent space.

Labelled units tell by how much a surrogate errs there. A Gaussian process carries these residuals
over to units nearby: their mean is corrected, and their epistemic deviation is that of the
process, small beside labelled units and growing with the distance from them. All targets share
one correlation, exp(-distance / length); its length and the noise are those of greatest
likelihood, and each target has the variance that follows.

References
----------
Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, ch. 2 and 5.
Kennedy & O'Hagan (2001), J. R. Stat. Soc. B 63, 425-464 (a discrepancy beside a model).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from homog.dataset import HASH_BYTES, Dataset, content_hash, pack
from homog.errors import DataError, naming
from homog.files import UNREADABLE, write_arrays
from learn.calibration import PROBABILITIES
from learn.data import check_dataset
from learn.metrics import gaussian_scores
from learn.surrogate import Prediction

MOST = 4000  # units: the matrix of their correlations is kept
JUDGED = 1000  # units that length and noise are found on
NOISE = (1e-6, 1.0)  # variance of the noise relative to that of the process
ARRAYS = ("z", "residuals", "length", "noise")
DAMAGED = (*UNREADABLE, TypeError, IndexError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Kriging:
    """A Gaussian process of residuals.

    Parameters
    ----------
    z : (n, latent) array
    residuals : (n, targets) array
        True values minus predicted means.
    length : float
        Of the correlation, in the latent space.
    noise : float
        Its variance relative to that of the process.
    """

    z: np.ndarray
    residuals: np.ndarray
    length: float
    noise: float

    def __post_init__(self):
        factor = cho_factor(_correlation(self.z, self.z, self.length, self.noise), lower=True)
        weights = cho_solve(factor, self.residuals)
        variance = np.mean(self.residuals * weights, axis=0)
        for name, value in (("_factor", factor), ("_weights", weights), ("_variance", variance)):
            object.__setattr__(self, name, value)

    @classmethod
    def fitted(cls, z, residuals, seed=0):
        """The process of greatest likelihood.

        Parameters
        ----------
        z : (n, latent) array
        residuals : (n, targets) array
        seed : int
            Of the units that length and noise are found on, where there are many.
        """
        z, residuals = np.asarray(z, float), np.asarray(residuals, float)
        some = np.random.default_rng(seed).permutation(len(z))[:JUDGED]
        distance = cdist(z[some], z[some])
        typical = np.median(distance) or 1.0

        def loss(logs):
            return _negative_log_likelihood(distance, residuals[some], *np.exp(logs))

        bounds = [np.log([0.05 * typical, 50 * typical]), np.log(NOISE)]
        first = np.log([typical, 0.01])
        found = minimize(loss, first, method="Nelder-Mead", bounds=bounds, options={"maxfev": 80})
        length, noise = np.exp(found.x)
        return cls(z, residuals, float(length), float(noise))

    def predict(self, z):
        """Residuals to expect and their deviations, (B, targets) arrays."""
        z = np.asarray(z, float)
        correlation = _correlation(z, self.z, self.length)
        explained = solve_triangular(self._factor[0], correlation.T, lower=True)
        left = np.maximum(1 + self.noise - (explained**2).sum(0), self.noise)
        return correlation @ self._weights, np.sqrt(left[:, None] * self._variance)

    def left_out(self):
        """Errors of each unit, predicted from all others, and their deviations, (n, targets)."""
        inverse = cho_solve(self._factor, np.eye(len(self.z)))
        precision = np.diag(inverse)[:, None]
        return self._weights / precision, np.sqrt(self._variance / precision)


def _correlation(z, others, length, noise=0.0):
    found = np.exp(-cdist(z, others) / length)
    if noise:
        found[np.diag_indices(len(found))] += noise
    return found


def _negative_log_likelihood(distance, residuals, length, noise):
    """Of zero-mean residuals, each target with the variance that suits it best."""
    correlation = np.exp(-distance / length)
    correlation[np.diag_indices(len(distance))] += noise
    factor = cho_factor(correlation, lower=True)
    variance = np.mean(residuals * cho_solve(factor, residuals), axis=0)
    determinant = 2 * np.log(np.diag(factor[0])).sum()
    count = len(residuals)
    return 0.5 * (count * np.log(variance + 1e-300).sum() + residuals.shape[1] * determinant)


class Corrected:
    """A surrogate with the residuals of labelled units; predicts octants like a ``Surrogate``.

    Parameters
    ----------
    surrogate : Surrogate
    kriging : Kriging
    hashes : (n, 16) uint8 array
        Of the octants that the residuals are of, see ``homog.dataset.content_hash``.
    """

    def __init__(self, surrogate, kriging, hashes):
        self.surrogate, self.kriging, self.hashes = surrogate, kriging, hashes
        self.targets, self.scaler, self.origin = (
            surrogate.targets, surrogate.scaler, surrogate.origin,
        )  # fmt: skip
        self.architecture, self.decode, self.encode = (
            surrogate.architecture, surrogate.decode, surrogate.encode,
        )  # fmt: skip

    def predict_octants(self, octants, samples=80):
        """Properties of octants, ``{name: Prediction}``; see ``Surrogate.predict_octants``."""
        found = self.surrogate.predict_octants(octants, samples)
        shift, epistemic = self.kriging.predict(self.surrogate.encode(octants))
        return {
            name: _prediction(
                found[name].mean + shift[:, i], found[name].aleatoric, epistemic[:, i]
            )
            for i, name in enumerate(self.targets)
        }

    def places(self, octants):
        """Places of octants (B, n, n, n) among those that corrected it, -1 for others, (B,)."""
        known = {row.tobytes(): place for place, row in enumerate(self.hashes)}
        return np.array([known.get(row.tobytes(), -1) for row in _hashes(octants)], int)

    def predict_left_out(self, octants, truth, samples=80):
        """Properties of octants that corrected the surrogate, each predicted without itself.

        Parameters
        ----------
        octants : (B, n, n, n) bool array
            All of them have a place.
        truth : (B, targets) array
            Their true values.
        samples : int
            See ``Surrogate.predict_octants``.

        Returns
        -------
        dict
            ``{name: Prediction}``
        """
        found, places = self.surrogate.predict_octants(octants, samples), self.places(octants)
        error, epistemic = (part[places] for part in self.kriging.left_out())
        return {
            name: _prediction(truth[:, i] - error[:, i], found[name].aleatoric, epistemic[:, i])
            for i, name in enumerate(self.targets)
        }

    def save(self, path):
        """Write what corrects the surrogate, whole or not at all."""
        arrays = {name: getattr(self.kriging, name) for name in ARRAYS}
        write_arrays(path, {**arrays, "hashes": self.hashes})

    @classmethod
    def load(cls, path, surrogate):
        """A surrogate with the correction that ``save`` wrote; nothing in the file is executed.

        Raises
        ------
        DataError
            If it is something else, or of another surrogate.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                z, residuals, length, noise, hashes = (file[n] for n in (*ARRAYS, "hashes"))
            shapes = [(len(hashes), surrogate.architecture.latent), (HASH_BYTES,)]
            if [z.shape, hashes.shape[1:]] != shapes or residuals.shape != (
                len(hashes), len(surrogate.targets),
            ):  # fmt: skip
                raise ValueError("shapes of another surrogate")
            kriging = Kriging(z, residuals, float(length), float(noise))
        except DAMAGED as error:
            raise DataError(f"{path}: not a correction of the surrogate ({error})") from error
        return cls(surrogate, kriging, hashes)


def _hashes(octants):
    """Hashes of octants (B, n, n, n), (B, 16)."""
    shape = tuple(2 * n for n in octants.shape[1:])
    rows = [content_hash(row, shape, True) for row in pack(octants)]
    return np.array(rows, np.uint8).reshape(-1, HASH_BYTES)


def _prediction(mean, aleatoric, epistemic):
    """With intervals of a Gaussian."""
    total = np.hypot(aleatoric, epistemic)
    return Prediction(mean, aleatoric, epistemic, total, gaussian_scores(PROBABILITIES))


def corrected(surrogate, paths, density=None, samples=80):
    """Correct a surrogate by labelled units.

    Parameters
    ----------
    surrogate : Surrogate
    paths : sequence of str or Path
        Labelled datasets. If there are more than ``MOST`` units, the last datasets come first,
        and of a large one the units nearest in volume fraction.
    density : float, optional
        Of the units that are sought.
    samples : int
        As the predictions will have.

    Returns
    -------
    Corrected

    Raises
    ------
    DataError
        See ``true_values``.
    """
    octants, truth, left = [], [], MOST
    for path in reversed(list(paths)):
        if left:
            some = _labelled(surrogate, path, density, left)
            octants.append(some[0])
            truth.append(some[1])
            left -= len(some[0])
    octants, truth = np.concatenate(octants), np.concatenate(truth)
    octants, first = np.unique(octants, axis=0, return_index=True)  # twins make it singular
    found = surrogate.predict_octants(octants, samples)
    predicted = np.column_stack([found[name].mean for name in surrogate.targets])
    kriging = Kriging.fitted(surrogate.encode(octants), truth[first] - predicted)
    return Corrected(surrogate, kriging, _hashes(octants))


def true_values(surrogate, units):
    """Labels that can correct a surrogate.

    Parameters
    ----------
    surrogate : Surrogate
    units : homog.Dataset

    Returns
    -------
    (n, targets) array
        Not finite where labelling failed.

    Raises
    ------
    DataError
        If they lack a target in all units, or are of another solid or of other cells.
    """
    check_dataset(units, surrogate.targets, surrogate.architecture.octant)
    surrogate.check_solid(units.labels.attributes)
    truth = np.column_stack([units.labels[name] for name in surrogate.targets])
    if not np.isfinite(truth).all(axis=1).any():
        names = ", ".join(surrogate.targets)
        raise DataError(f"no unit has labels of all of {names}; label other units, or these again")
    return truth


def _labelled(surrogate, path, density, most):
    """Octants and targets of labelled units of a dataset, at most so many."""
    with naming(path), Dataset(path) as units:
        truth = true_values(surrogate, units)
        good = np.flatnonzero(np.isfinite(truth).all(axis=1))
        if density is not None:
            away = np.abs(units.volume_fraction[good] - density)
            good = np.sort(good[np.argsort(away, kind="stable")[:most]])
        good = good[:most]
        return units.select(good).octants[:], truth[good]
