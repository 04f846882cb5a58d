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
from itertools import compress
from time import perf_counter

import numpy as np

from homog import multigrid, sensitivity, tables
from homog.bounds import hashin_shtrikman_upper
from homog.cell import load_path, validated_voxels
from homog.cell_problem import CellProblem, reduced_factor
from homog.conjugate_gradients import NOTHING
from homog.errors import ConvergenceError, DataError, ParameterError
from homog.fields import Fields
from homog.findings import FALLBACK, MECHANISM, cell_findings, material_findings
from homog.material import Isotropic
from homog.properties import (
    COMPONENTS,
    cubic_constants,
    cubic_derivatives,
    cubic_deviation,
    directional_constants,
    nearest_cubic,
)
from homog.solver import METHODS, solve
from homog.symmetry import AXES, NO_SYMMETRY, Symmetry, reduction, symmetry
from homog.threads import Workers

TIGHTEST = 1e-13  # tol that double precision can still deliver


@dataclass(frozen=True)
class Statistics:
    """How a cell was solved.

    ``error`` is the estimated error of C relative to its largest entry, ``iterations`` and
    ``residuals`` (relative, Euclidean) belong to the six unit strains; those that symmetry gave
    have the numbers of their source. ``loads`` names the unit strains that were solved,
    ``mirrors`` the axes along which only one half of the cell was, ``unknowns`` are those of one
    load, ``seconds`` is wall time.
    """

    method: str
    tol: float
    error: float
    iterations: tuple
    residuals: tuple
    loads: tuple
    mirrors: str
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

    ``dC_dE, dC_dnu`` (6, 6) are the derivatives of C by E and nu of the solid, to about the
    square root of the relative error of C; ``derivatives`` ``{"E": {...}, "nu": {...}}`` those
    of E, G, nu, K and zener. ``fields`` is there if it was asked for.
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
    dC_dE: np.ndarray
    dC_dnu: np.ndarray
    derivatives: dict
    solver: Statistics
    warnings: tuple
    fields: Fields | None

    def __str__(self):
        return tables.result_table(self)

    def to_dict(self, scatter=None):
        """The result as numbers, strings, lists and dicts; what is undefined is None.

        With ``scatter``, the standard deviations of that method are there too.
        """
        return tables.result_dict(self, scatter)

    def scatter(self, relative):
        """Standard deviations of E, G, nu, K and zener under scatter of the solid.

        To first order, for independent Gaussian scatter of the solid's E and nu.

        Parameters
        ----------
        relative : float
            Standard deviation of the solid's E and nu, relative to their values, >= 0.

        Returns
        -------
        dict of float

        Raises
        ------
        ParameterError
            If ``relative`` is negative or not finite.
        """
        return sensitivity.scatter(self.derivatives, self.material, relative)


def homogenize(
    voxels,
    material,
    *,
    tol=1e-6,
    method="auto",
    threads=None,
    stiffness_factor=None,
    progress=None,
    use_symmetry=True,
    fields=False,
    start=None,
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
    method : {"auto", "multigrid", "amg"}
        Solver. ``auto`` takes multigrid, or the assembled path (amg) where the box cannot be
        coarsened or multigrid does not converge.
    threads : int, optional
        All available processors if not given. Results do not depend on it.
    stiffness_factor : (nx, ny, nz) array_like, optional
        Multiplies the stiffness of each solid voxel, > 0 there.
    progress : callable, optional
        Called with the fraction done, between 0 and 1.
    use_symmetry : bool
        Whether mirrors and permutations of the axes that leave the cell as it is spare work.
    fields : bool
        Whether to keep the displacements of all unit strains: ``Homogenization.fields``.
    start : Fields, optional
        Of the same cell with another solid, or of a similar cell: spares iterations.

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
    began = perf_counter()
    _check_options(material, tol, method)
    voxels = validated_voxels(voxels)
    factor = _validated_factor(stiffness_factor, voxels)
    path = load_path(voxels)
    group = symmetry(voxels)
    factor *= path.solid
    if not use_symmetry:
        used = NO_SYMMETRY
    elif stiffness_factor is None and np.array_equal(path.solid, voxels):
        used = group
    else:
        used = symmetry(factor)
    largest = factor.max() or 1.0
    scale = material.E * largest
    factor /= largest
    problem = _problem(factor, material, path.spans, used)
    with Workers(threads) as workers:
        first = start.solutions_for(problem) if start else None
        how = (method, tol, workers, progress or (lambda fraction: None), first)
        relative, dC_dnu, statistics, solved = _solved(problem, how)
        statistics |= {"tol": tol, "threads": workers.threads, "seconds": perf_counter() - began}
    C = relative * scale
    tensors = {"C": C, "dC_dE": C / material.E, "dC_dnu": dC_dnu * scale}
    for tensor in tensors.values():
        tensor.setflags(write=False)
    constants = _constants(C, tol)
    warnings = [*material_findings(material), *cell_findings(voxels, path)]
    if constants["directional"] is None and path.spans.all():
        warnings.append(MECHANISM)
    if method == "auto" and statistics["method"] == "amg" and multigrid.fits(problem):
        warnings.append(FALLBACK)
    return Homogenization(
        **tensors,
        **constants,
        **_geometry(voxels, path, group),
        **_bounds(np.count_nonzero(voxels) / voxels.size, material, stiffness_factor),
        derivatives={
            name: cubic_derivatives(C, tensors[f"dC_d{name}"], singular=_noise(tol))
            for name in ("E", "nu")
        },
        material=material,
        solver=Statistics(**statistics),
        warnings=tuple(warnings),
        fields=Fields(problem, solved, material.E, voxels.shape) if fields else None,
    )


def _problem(factor, material, spans, group):
    """The cell problem relative to Young's modulus, on the part that symmetry leaves."""
    reduced = reduction(group, factor.shape)
    stiffness = material.stiffness / material.E
    return CellProblem(reduced_factor(factor, reduced.mirrored), stiffness, spans, reduced)


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


def _solved(problem, how):
    """C and its derivative by nu, how they were found as a dict, and the displacements."""
    inner = problem.factor[tuple(slice(n) for n in problem.voxels)]
    if not problem.carried.any() or (inner == inner.flat[0]).all():
        C = problem.affine_energy / problem.volume
        return C, sensitivity.by_poisson(problem, C, {}, how[2]), _closed_form(), {}
    found = solve(problem, *how)
    C, error = _resolved(problem, found, how[1])
    images = [problem.reduction.images[load].source for load in range(6)]
    statistics = {
        "method": found.method,
        "error": error,
        "iterations": tuple(found.iterations.get(source, 0) for source in images),
        "residuals": tuple(found.residuals.get(source, 0.0) for source in images),
        "loads": tuple(COMPONENTS[load] for load in problem.loads),
        "mirrors": "".join(compress(AXES, problem.reduction.mirrored)),
        "unknowns": max(int(problem.free(load).sum()) for load in problem.loads),
    }
    displacements = found.displacements
    return C, sensitivity.by_poisson(problem, C, displacements, how[2]), statistics, displacements


def _closed_form():
    """Statistics of a cell for which there is nothing to solve."""
    return {
        "method": "closed form",
        "error": 0.0,
        "iterations": (0,) * 6,
        "residuals": (0.0,) * 6,
        "loads": (),
        "mirrors": "",
        "unknowns": 0,
    }


def _resolved(problem, found, tol):
    """C without what rounding leaves of a zero, and its relative error with rounding."""
    C = problem.reduction.completed(found.entries)
    affine = problem.affine_energy.max() / problem.volume
    largest = np.abs(C).max()
    if largest <= 2 * NOTHING * affine:
        return np.zeros_like(C), 0.0
    rounding = 10 * np.finfo(float).eps * affine / largest
    if rounding > tol:
        raise ConvergenceError(
            f"the cell is {affine / largest:.0e} times softer than its solid: rounding limits C to "
            f"{rounding:.0e} of its largest entry, not tol={tol:g}; allow a larger tol"
        )
    error = float(max(found.error / largest, rounding))
    if error > tol:
        raise ConvergenceError(
            f"C is known to {error:.0e} of its largest entry, not to tol={tol:g}; "
            "allow a larger tol"
        )
    return C, error


def _constants(C, tol):
    """Everything that follows from C, as fields of ``Homogenization``."""
    return {
        **cubic_constants(*nearest_cubic(C), singular=_noise(tol)),
        "cubic_deviation": cubic_deviation(C),
        "directional": directional_constants(C, singular=10 * tol),
    }


def _noise(tol):
    """Part of the largest entry of C below which a difference of entries may be error alone."""
    return min(10 * tol, 1e-3)


def _geometry(voxels, path, group):
    """What the voxels alone say, as fields of ``Homogenization``."""
    solid = np.count_nonzero(voxels)
    return {
        "volume_fraction": solid / voxels.size,
        "dropped": 1 - np.count_nonzero(path.solid) / solid if solid else 0.0,
        "spans": tuple(map(bool, path.spans)),
        "symmetry": group,
        "shape": voxels.shape,
    }


def _bounds(volume_fraction, material, stiffness_factor):
    """Hashin-Shtrikman bounds, where the solid is homogeneous."""
    if stiffness_factor is not None:
        return {"K_upper": None, "G_upper": None}
    upper = hashin_shtrikman_upper(volume_fraction, material.K, material.G)
    return dict(zip(("K_upper", "G_upper"), map(float, upper), strict=True))
