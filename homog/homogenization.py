"""From voxels and a material to the effective stiffness of a periodic unit cell.

The displacement is an affine field of mean strain plus a periodic fluctuation x that
minimises the energy: K x = b for each of six unit strains. With the energy ``V0`` of the
affine fields and the residuals r, the effective stiffness

    C_ij = (V0_ij - b_i . x_j - x_i . r_j) / V

is in error only by the square of the error of x.

References
----------
Guedes & Kikuchi (1990), Comput. Methods Appl. Mech. Engrg. 83, 143-198.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from homog import amg, tables
from homog.bounds import hashin_shtrikman_upper
from homog.cell import Symmetry, load_path, symmetry, validated_voxels
from homog.cell_problem import CellProblem
from homog.conjugate_gradients import NOTHING
from homog.errors import ConvergenceError, DataError, ParameterError
from homog.findings import MECHANISM, cell_findings, material_findings
from homog.material import Isotropic
from homog.properties import cubic_constants, cubic_deviation, directional_constants, nearest_cubic
from homog.threads import Workers

METHODS = ("auto", "amg")
TIGHTEST = 1e-13  # tol that double precision can still deliver


@dataclass(frozen=True)
class Statistics:
    """How a cell was solved.

    ``error`` is the estimated error of C relative to its largest entry, ``iterations`` and
    ``residuals`` (relative, Euclidean) belong to the six unit strains, ``seconds`` is wall time.
    """

    method: str
    tol: float
    error: float
    iterations: tuple
    residuals: tuple
    unknowns: int
    threads: int
    seconds: float


@dataclass(frozen=True)
class Homogenization:
    """Effective constants of a unit cell; moduli in the unit of the solid's E.

    ``C`` (6, 6) in Voigt order 11, 22, 33, 23, 13, 12 with engineering shear. ``E, G, nu, K,
    zener`` are those of the nearest cubic tensor, ``cubic_deviation`` the distance to it
    relative to C. ``directional`` has E (3,), G (3,) in the planes 23, 13, 12 and nu (3, 3), or
    is None where C is singular. ``K_upper, G_upper`` are the Hashin-Shtrikman bounds, None
    with a stiffness factor. ``dropped`` is the share of the solid that floats free, ``spans``
    tells for x, y, z whether the solid connects to its periodic image, ``warnings`` are
    ``Finding`` records. What is undefined (0 / 0) is NaN.
    """

    C: np.ndarray
    E: float
    G: float
    nu: float
    K: float
    zener: float
    cubic_deviation: float
    directional: dict | None
    volume_fraction: float
    K_upper: float | None
    G_upper: float | None
    dropped: float
    spans: tuple
    symmetry: Symmetry
    shape: tuple
    material: Isotropic
    solver: Statistics
    warnings: tuple

    def __str__(self):
        return tables.result_table(self)

    def to_dict(self):
        """The result as numbers, strings, lists and dicts; what is undefined is None."""
        return tables.result_dict(self)


def homogenize(
    voxels,
    material,
    *,
    tol=1e-6,
    method="auto",
    threads=None,
    stiffness_factor=None,
    progress=None,
):
    """Effective stiffness and engineering constants of a periodic voxel unit cell.

    Parameters
    ----------
    voxels : (nx, ny, nz) array_like
        True or 1 where solid; axis 0 is x (direction 1). Periodic in all directions. Void has
        exactly zero stiffness.
    material : Isotropic
        The solid.
    tol : float
        Error of C allowed, relative to its largest entry.
    method : {"auto", "amg"}
        Solver; ``auto`` chooses.
    threads : int, optional
        All available processors if not given. Results do not depend on it.
    stiffness_factor : (nx, ny, nz) array_like, optional
        Multiplies the stiffness of each solid voxel, > 0 there.
    progress : callable, optional
        Called with the fraction done, between 0 and 1.

    Returns
    -------
    Homogenization

    Raises
    ------
    ParameterError
        If an option is out of range.
    DataError
        If the voxels are not a valid cell, or the problem does not fit in memory.
    ConvergenceError
        If C did not reach ``tol``.
    """
    start = perf_counter()
    _check_options(material, tol, method)
    voxels = validated_voxels(voxels)
    factor = _validated_factor(stiffness_factor, voxels)
    path = load_path(voxels)
    problem = CellProblem(np.where(path.solid, factor, 0.0), material.stiffness, path.spans)
    with Workers(threads) as workers:
        C, solved = _solve(problem, tol, workers, progress or (lambda fraction: None))
        statistics = Statistics(
            tol=tol, threads=workers.threads, seconds=perf_counter() - start, **solved
        )
    geometry = _geometry(voxels, path)
    C.setflags(write=False)
    constants = _constants(C, tol)
    bounds = _bounds(geometry["volume_fraction"], material, stiffness_factor)
    warnings = [*material_findings(material), *cell_findings(voxels, path)]
    if constants["directional"] is None and path.spans.all():
        warnings.append(MECHANISM)
    return Homogenization(
        C=C,
        **constants,
        **geometry,
        **bounds,
        material=material,
        solver=statistics,
        warnings=tuple(warnings),
    )


def _check_options(material, tol, method):
    if not isinstance(material, Isotropic):
        raise ParameterError(f"expected a material such as Isotropic(E, nu), got {material!r}")
    if not TIGHTEST <= tol < 1:  # also rejects NaN
        raise ParameterError(f"tol must lie between {TIGHTEST:g} and 1, got {tol:g}")
    if method not in METHODS:
        raise ParameterError(f"method must be one of {', '.join(METHODS)}, got {method!r}")


def _validated_factor(stiffness_factor, voxels):
    """Stiffness of each voxel relative to the solid: 0 in void."""
    if stiffness_factor is None:
        return voxels.astype(float)
    factor = np.asarray(stiffness_factor, dtype=float)
    if factor.shape != voxels.shape:
        raise DataError(
            f"expected a stiffness factor for each voxel {voxels.shape}, got {factor.shape}"
        )
    if not (np.isfinite(factor[voxels]).all() and (factor[voxels] > 0).all()):
        raise DataError("expected stiffness factors that are positive and finite in the solid")
    return np.where(voxels, factor, 0.0)


def _solve(problem, tol, workers, progress):
    """C, and how it was found, as fields of ``Statistics``."""
    uniform = (problem.factor == problem.factor.flat[0]).all()
    if uniform or not problem.carried.any():
        return problem.affine_energy / problem.factor.size, {
            "method": "closed form",
            "error": 0.0,
            "iterations": (0,) * 6,
            "residuals": (0.0,) * 6,
            "unknowns": 0,
        }
    loads, solution = amg.solve(problem, tol, workers, progress)
    C, error = _resolved(problem, loads, solution, tol)
    return C, {
        "method": "amg",
        "error": error,
        "iterations": solution.iterations,
        "residuals": solution.residuals,
        "unknowns": loads.size // 6,
    }


def _resolved(problem, loads, solution, tol):
    """C without what rounding leaves of a zero, and its relative error with rounding."""
    C = problem.effective_stiffness(loads, solution)
    affine = problem.affine_energy.max() / problem.factor.size
    largest = np.abs(C).max()
    if largest <= 2 * NOTHING * affine:
        return np.zeros_like(C), 0.0
    error = solution.error.max() / problem.factor.size / largest
    rounding = 10 * np.finfo(float).eps * affine / largest
    if rounding > max(tol, TIGHTEST):
        raise ConvergenceError(
            f"the cell is {affine / largest:.0e} times softer than its solid: rounding limits C to "
            f"{rounding:.0e} of its largest entry, not tol={tol:g}; allow a larger tol"
        )
    return C, float(max(error, rounding))


def _constants(C, tol):
    """Everything that follows from C, as fields of ``Homogenization``."""
    return {
        **cubic_constants(*nearest_cubic(C)),
        "cubic_deviation": cubic_deviation(C),
        "directional": directional_constants(C, singular=10 * tol),
    }


def _geometry(voxels, path):
    """What the voxels alone say, as fields of ``Homogenization``."""
    solid = np.count_nonzero(voxels)
    return {
        "volume_fraction": solid / voxels.size,
        "dropped": 1 - np.count_nonzero(path.solid) / solid if solid else 0.0,
        "spans": tuple(map(bool, path.spans)),
        "symmetry": symmetry(voxels),
        "shape": voxels.shape,
    }


def _bounds(volume_fraction, material, stiffness_factor):
    """Hashin-Shtrikman bounds, where the solid is homogeneous."""
    if stiffness_factor is not None:
        return {"K_upper": None, "G_upper": None}
    upper = hashin_shtrikman_upper(volume_fraction, material.K, material.G)
    return dict(zip(("K_upper", "G_upper"), map(float, upper), strict=True))
