"""Labels of unit cells: properties, how they follow the solid, and how they were reached.

A label at the nominal solid comes with one at a solid of the unit's own, whose E and nu scatter
around the nominal ones. That one is solved too: to first order in nu it would be off by up to
2.4e-3 where nu lies three standard deviations of 1 % away (benchmarks/scatter.py).
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass

import numpy as np

from homog import __version__
from homog.errors import DataError, HomogError, ParameterError
from homog.homogenization import homogenize
from homog.material import Isotropic
from homog.properties import COMPONENTS, nearest_cubic
from homog.sensitivity import check_scatter

ENGINE = 1  # raised when the digits of labels change
CONSTANTS = ("E", "G", "nu", "K", "zener")
STIFFNESS = ("C11", "C12", "C44")
UPPER = np.triu_indices(6)  # the 21 entries of C of a cell that is not cubic, row by row
MESSAGE = 200  # bytes
DONE, FAILED = 0, 1  # status
WIDEST = 4.0  # standard deviations: no draw is farther out


@dataclass(frozen=True)
class Settings:
    """What labels depend on besides the cell.

    Parameters
    ----------
    E, nu : float
        Nominal Young's modulus and Poisson's ratio of the solid.
    scatter : float
        Relative standard deviation of both for the scattered labels; with 0 there are none.
    seed : int
        Of the scatter, not negative.
    tol : float
        Error of C allowed, relative to its largest entry.
    cubic : bool
        Whether the cells are cubic: if not, all 21 constants are labels.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    E: float
    nu: float
    scatter: float = 0.0
    seed: int = 0
    tol: float = 1e-5
    cubic: bool = True

    def __post_init__(self):
        material = Isotropic(self.E, self.nu)
        check_scatter(self.scatter)
        if self.seed < 0:
            raise ParameterError(f"seed must not be negative, got {self.seed}")
        for deviations in (-WIDEST, WIDEST):
            factor = 1 + deviations * self.scatter
            try:
                Isotropic(factor * material.E, factor * material.nu)
            except HomogError as error:
                raise ParameterError(
                    f"scatter of {self.scatter:g} leads to impossible solids ({error}); use less"
                ) from error

    @property
    def material(self):
        """The nominal solid."""
        return Isotropic(self.E, self.nu)

    @property
    def attributes(self):
        """What is stored of them beside labels."""
        return {name: value for name, value in asdict(self).items() if name != "cubic"}

    def key(self, hashes):
        """What identifies the labels of cells: a digest of all that they depend on.

        Parameters
        ----------
        hashes : (n, 16) uint8 array
            Of the cells.
        """
        text = json.dumps({**asdict(self), "engine": ENGINE, "version": __version__})
        return hashlib.blake2b(text.encode() + hashes.tobytes(), digest_size=8).hexdigest()

    def solid_of(self, digest):
        """Solid of a unit of its own: Gaussian E and nu, drawn from the seed and the cell's hash.

        Parameters
        ----------
        digest : (16,) uint8 array

        Returns
        -------
        Isotropic
        """
        rng = np.random.default_rng([self.seed, *np.asarray(digest, np.uint8).tolist()])
        draws = np.clip(rng.standard_normal(2), -WIDEST, WIDEST)
        E, nu = np.array([self.E, self.nu]) * (1 + self.scatter * draws)
        return Isotropic(float(E), float(nu))


def columns(settings):
    """Names and shapes of the columns of each group of labels.

    Returns
    -------
    dict
        ``{group: {name: (dtype, shape)}}``
    """
    constants = dict.fromkeys((*STIFFNESS, *CONSTANTS), (float, ()))
    nominal = dict(constants)
    for by in ("E_solid", "nu_solid"):
        nominal |= {f"d{name}_d{by}": (float, ()) for name in (*STIFFNESS, *CONSTANTS)}
    scattered = {"E_solid": (float, ()), "nu_solid": (float, ()), **constants}
    if not settings.cubic:
        nominal |= {"C": (float, (21,)), "dC_dnu_solid": (float, (21,))}
        scattered |= {"C": (float, (21,))}
    effort = {"error": (float, ()), "iterations": (np.int32, ())}
    groups = {
        "labels": {
            **nominal,
            "K_upper": (float, ()),
            **effort,
            "status": (np.int8, ()),
            "message": (f"S{MESSAGE}", ()),
        },
        "effort": {"seconds": (float, ())},
    }
    if settings.scatter:
        groups["scattered"] = {**scattered, **effort}
    return groups


def collected(rows, settings):
    """Labels of some units as groups of a dataset file.

    Parameters
    ----------
    rows : list of dict
        Of ``label``.
    settings : Settings

    Returns
    -------
    dict
        ``{group: (attributes, {name: (n, ...) array})}``
    """
    return {
        group: (
            settings.attributes,
            {
                name: np.array([r[group][name] for r in rows], dtype)
                for name, (dtype, _) in of.items()
            },
        )
        for group, of in columns(settings).items()
    }


def empty_row(settings, status=FAILED, message=""):
    """Labels of a unit without any: NaN, with the reason.

    Returns
    -------
    dict
        ``{group: {name: value}}``
    """
    row = {
        group: {name: _nothing(*kind) for name, kind in names.items()}
        for group, names in columns(settings).items()
    }
    row["labels"]["status"] = status
    row["labels"]["message"] = " ".join(message.split()).encode()[:MESSAGE]
    return row


def _nothing(dtype, shape):
    return np.full(shape, np.nan) if dtype is float else np.zeros(shape, dtype)[()]


def label(voxels, digest, settings):
    """Label a cell; a failure becomes a row that says why.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
    digest : (16,) uint8 array
        Hash of the cell.
    settings : Settings

    Returns
    -------
    dict
        ``{group: {name: value}}`` as ``columns`` says.
    """
    start = time.perf_counter()
    row = empty_row(settings, DONE)
    try:
        result = homogenize(
            voxels, settings.material, tol=settings.tol, threads=1, fields=bool(settings.scatter)
        )
        row["labels"] |= _nominal(result, settings)
        if settings.scatter:
            solid = settings.solid_of(digest)
            row["scattered"] |= _scattered(voxels, solid, settings, result.fields)
    except HomogError as error:
        row = empty_row(settings, FAILED, str(error))
    except MemoryError:
        row = empty_row(settings, FAILED, "not enough memory")
    row["effort"]["seconds"] = time.perf_counter() - start
    return row


def stored_stiffness(dataset, index):
    """C of a unit at the nominal solid, from its label.

    Parameters
    ----------
    dataset : Dataset
    index : int

    Returns
    -------
    (6, 6) array
        In the unit of the solid's E.

    Raises
    ------
    ParameterError
        If the dataset has no labels.
    DataError
        If the unit could not be labelled.
    """
    labels = dataset.select(np.array([index])).labels
    if not len(labels):
        raise ParameterError("no labels to take C from; give --E and --nu, or run homog label")
    if labels["status"][0] != DONE:
        raise DataError(f"unit {index} has no label: {labels['message'][0].decode()}")
    C = np.zeros((6, 6))
    if "C" in labels:
        C[UPPER] = labels["C"][0]
        return C + np.triu(C, 1).T
    C11, C12, C44 = (labels[name][0] for name in STIFFNESS)
    C[:3, :3] = C12
    C[np.diag_indices(6)] = [C11] * 3 + [C44] * 3
    return C


def _nominal(result, settings):
    found = _constants(result) | _solver(result) | {"K_upper": result.K_upper}
    for by, dC in (("E_solid", result.dC_dE), ("nu_solid", result.dC_dnu)):
        derivatives = result.derivatives[by.removesuffix("_solid")]
        found |= {f"d{name}_d{by}": derivatives[name] for name in CONSTANTS}
        found |= dict(zip((f"d{n}_d{by}" for n in STIFFNESS), nearest_cubic(dC), strict=True))
    if not settings.cubic:
        found["dC_dnu_solid"] = result.dC_dnu[UPPER]
        found["C"] = result.C[UPPER]
    return found


def _scattered(voxels, solid, settings, start):
    """Labels at a solid of the unit's own; the nominal one is near, so that it is solved soon."""
    result = homogenize(voxels, solid, tol=settings.tol, threads=1, start=start)
    found = _constants(result) | _solver(result) | {"E_solid": solid.E, "nu_solid": solid.nu}
    if not settings.cubic:
        found["C"] = result.C[UPPER]
    return found


def _constants(result):
    stiffness = dict(zip(STIFFNESS, nearest_cubic(result.C), strict=True))
    return stiffness | {name: getattr(result, name) for name in CONSTANTS}


def _solver(result):
    own = [result.solver.iterations[COMPONENTS.index(load)] for load in result.solver.loads]
    return {"error": result.solver.error, "iterations": sum(own)}
