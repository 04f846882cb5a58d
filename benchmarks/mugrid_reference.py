"""Effective stiffness of voxel units by muGrid, a code that shares nothing with homog.

muGrid (https://github.com/muSpectre/muGrid) solves the same discrete problem:
one trilinear 8-node hexahedron with 2 x 2 x 2 Gauss points per voxel. It is
not a dependency of homog; install it beside it:

    pip install muGrid==1.6.1
    python benchmarks/mugrid_reference.py examples/units/*.npy -o tests/data/shipped_units.json

Method: conjugate gradients, preconditioned by the inverse of the uniform solid
in Fourier space (Ladecky et al., 2023, Appl. Math. Comput. 446, 127835).
"""

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import muGrid
import numpy as np
from muGrid.Preconditioners import make_reference_stiffness_preconditioner
from muGrid.Solvers import conjugate_gradients

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Reference(NamedTuple):
    """What muGrid says about one unit.

    Attributes
    ----------
    C : (6, 6) array
        Effective stiffness, in the unit of E.
    iterations : int
        CG iterations, summed over the six loads.
    cpu_seconds : float
        CPU time of set-up and solution.
    """

    C: np.ndarray
    iterations: int
    cpu_seconds: float


def effective_tensor(voxels, E, nu, tol=1e-10):
    """Effective stiffness of a periodic unit whose void has exactly zero stiffness.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        True = solid. Voxels are cubic, array axis 0 is direction 1.
    E, nu : float
        Young's modulus and Poisson's ratio of the solid.
    tol : float
        Residual over right-hand side at which CG stops, per load.

    Returns
    -------
    Reference
        C is ordered 11, 22, 33, 23, 13, 12, with engineering shear.

    Raises
    ------
    muGrid.Solvers.ConvergenceError
        If a load needs more than 10000 iterations or stagnates.
    """
    start = time.process_time()
    problem = _assemble(np.asarray(voxels, dtype=bool), E, nu)
    columns, iterations = zip(
        *(_solve(problem, _unit_strain(load), tol) for load in range(6)), strict=True
    )
    C = np.column_stack(columns)
    return Reference(C, sum(iterations), time.process_time() - start)


@dataclass(frozen=True)
class _Problem:
    """The discrete problem of one unit, as muGrid objects."""

    engine: muGrid.FFTEngine
    stiffness: muGrid.IsotropicStiffnessOperator3D
    preconditioner: object
    lame: tuple  # fields lambda, mu
    displacement: muGrid.Field
    force: muGrid.Field
    voxel_count: int


def _assemble(voxels, E, nu):
    spacing = [1.0, 1.0, 1.0]
    lame = E * nu / ((1 + nu) * (1 - 2 * nu)), E / (2 * (1 + nu))
    stiffness = muGrid.IsotropicStiffnessOperator3D(spacing, muGrid.FEMElement.q1)
    engine = muGrid.FFTEngine(voxels.shape, ghosts=stiffness)
    preconditioner = make_reference_stiffness_preconditioner(
        engine,
        element=muGrid.FEMElement.q1,
        grid_spacing=spacing,
        lambda_ref=lame[0],
        mu_ref=lame[1],
    )
    return _Problem(
        engine,
        stiffness,
        preconditioner,
        tuple(_voxel_field(engine, f"lame-{i}", voxels * lame[i]) for i in range(2)),
        engine.real_space_field("displacement", components=(3,)),
        engine.real_space_field("force", components=(3,)),
        voxels.size,
    )


def _voxel_field(engine, name, values):
    field = engine.real_space_field(name)
    field.p[...] = values
    engine.communicate_ghosts(field)
    return field


def _unit_strain(load):
    """Strain tensor of Voigt load; shear loads have unit engineering shear."""
    strain = np.zeros((3, 3))
    i, j = VOIGT[load]
    strain[i, j] += 0.5
    strain[j, i] += 0.5
    return strain


def _solve(problem, strain, tol):
    """Mean stress (Voigt) under a macroscopic strain, and the CG iterations it took."""
    steps = []
    flat = strain.ravel().tolist()
    problem.displacement.p[...] = 0
    problem.stiffness.apply_macro_rhs(*problem.lame, flat, problem.force)
    problem.force.p[...] *= -1
    conjugate_gradients(
        problem.engine.communicator,
        problem.engine.real_space_collection,
        problem.force,
        problem.displacement,
        lambda u, f: _apply(problem, u, f),
        problem.preconditioner,
        maxiter=10_000,
        callback=lambda step, state: steps.append(step),
        rtol=tol,
    )
    return _mean_stress(problem, flat), steps[-1]


def _apply(problem, displacement, force):
    problem.engine.communicate_ghosts(displacement)
    problem.stiffness.apply(displacement, *problem.lame, force)


def _mean_stress(problem, flat_strain):
    problem.engine.communicate_ghosts(problem.displacement)
    total = problem.stiffness.average_stress(problem.displacement, *problem.lame, flat_strain)
    stress = np.reshape(total, (3, 3)) / problem.voxel_count
    return np.array([stress[i, j] for i, j in VOIGT])


def _record(path, E, nu, tol):
    """JSON record of one unit, with a checksum that ties C to the voxels."""
    voxels = np.load(path, allow_pickle=False)
    reference = effective_tensor(voxels, E, nu, tol)
    print(
        f"{path}: {reference.iterations} iterations, {reference.cpu_seconds:.1f} CPU s",
        file=sys.stderr,
    )
    return {
        "sha256": hashlib.sha256(np.packbits(voxels).tobytes()).hexdigest(),
        "volume_fraction": float(voxels.mean()),
        "C": reference.C.tolist(),
    }


def _parser():
    parser = argparse.ArgumentParser(description="Write muGrid's stiffness of units as JSON.")
    parser.add_argument("units", nargs="+", type=Path, help="boolean .npy arrays")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--young", type=float, default=70_000.0, help="E of the solid")
    parser.add_argument("--poisson", type=float, default=0.33, help="nu of the solid")
    parser.add_argument("--tol", type=float, default=1e-10, help="relative residual")
    return parser


def main():
    args = _parser().parse_args()
    units = {path.stem: _record(path, args.young, args.poisson, args.tol) for path in args.units}
    source = (
        f"muGrid {muGrid.__version__}, benchmarks/mugrid_reference.py: trilinear hexahedra, "
        f"CG to relative residual {args.tol:g}, void exactly zero; order 11, 22, 33, 23, 13, 12, "
        "engineering shear; sha256 of the C-ordered np.packbits of the voxels"
    )
    content = {"source": source, "E": args.young, "nu": args.poisson, "units": units}
    args.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
