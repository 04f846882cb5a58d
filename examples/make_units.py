"""Make the five unit cells that the examples and the tests use.

    python examples/make_units.py                  # writes examples/units/*.npy
    python examples/make_units.py --resolution 96 -o finer

Each file is a boolean array of shape (n, n, n): True = solid, array axis 0 = x,
periodic in all directions. Voxel centres lie at (i + 1/2)/n of the cell edge,
so mirror planes are voxel faces.

Every unit is the region where a level function stays below a threshold; the
threshold is the one whose density is nearest to the density asked for.
"""

import argparse
from itertools import permutations
from pathlib import Path

import numpy as np


def octet(x, y, z):
    """Squared distance to the struts that join nearest sites of a face-centred lattice."""
    in_face = x**2 + (y - z) ** 2 / 2
    inside = (0.5 - z) ** 2 + (0.5 - x - y) ** 2 / 2
    return np.minimum(in_face, inside)


def bcc(x, y, z):
    """Squared distance to the space diagonals, the struts of a body-centred lattice."""
    return x**2 + y**2 + z**2 - (x + y + z) ** 2 / 3


def schwarz_p_sheet(x, y, z):
    """Distance, as a level, to the Schwarz P surface."""
    return np.abs(sum(np.cos(2 * np.pi * axis) for axis in (x, y, z)))


def gyroid_sheet(x, y, z):
    """Distance, as a level, to the gyroid."""
    turns = [2 * np.pi * axis for axis in (x, y, z)]
    return np.abs(sum(np.sin(turns[i]) * np.cos(turns[i - 2]) for i in range(3)))


def plate_sc_fcc(x, y, z):
    """Distance to {100} and {111} plates (simple and face-centred cubic), closed cells.

    {100} plates are made 8 sqrt(3)/9 times as thick as {111} plates: they then
    hold 2/5 of the solid, which makes thin plates of nu = 1/3 isotropic. Their
    stiffness is close to the Hashin-Shtrikman bounds (Berger, Wadley & McMeeking,
    2017, Nature 543, 533-537). Plates are whole layers of voxels, so the density
    comes in steps.
    """
    simple = x
    face_centred = np.minimum(np.abs(z - x - y), np.abs(1 - x - y - z)) / np.sqrt(3)
    return np.minimum(simple / (8 * np.sqrt(3) / 9), face_centred)


# name -> level function, density, whether all 48 signed axis permutations leave it as it is
UNITS = {
    "octet": (octet, 0.28, True),
    "bcc": (bcc, 0.28, True),
    "schwarz_p_sheet": (schwarz_p_sheet, 0.30, True),
    "gyroid_sheet": (gyroid_sheet, 0.20, False),
    "plate_sc_fcc": (plate_sc_fcc, 0.30, True),
}


def make_unit(name, resolution):
    """Voxels of one of the units.

    Parameters
    ----------
    name : str
        A key of ``UNITS``.
    resolution : int
        Voxels along each edge.

    Returns
    -------
    (resolution, resolution, resolution) bool array
    """
    level, density, cubic = UNITS[name]
    points = centres(resolution)
    return threshold(level(*(fold(points) if cubic else points)), density)


def centres(resolution):
    """Voxel centres in the unit cube: x, y and z as a (3, n, n, n) array."""
    axis = (np.arange(resolution) + 0.5) / resolution
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))


def fold(points):
    """Reflect points into the chamber 0 <= x <= y <= z <= 1/2.

    Reflections map the chamber to all of the cell, so a cubic unit needs to be
    described there only, and its 48 images are equal to the last bit.
    """
    to_face = np.minimum(points, points[:, ::-1, ::-1, ::-1])  # 1 - x would round differently
    return np.sort(to_face, axis=0)


def threshold(level, density):
    """Solid of the density nearest to ``density`` that some ``level <= t`` gives.

    Parameters
    ----------
    level : (n, n, n) array
    density : float
        Volume fraction of solid, in [0, 1].

    Returns
    -------
    (n, n, n) bool array
    """
    level = np.round(level, 12)  # what symmetry makes equal must not differ by rounding
    values, counts = np.unique(level, return_counts=True)
    densities = np.cumsum(counts) / level.size
    return level <= values[np.argmin(np.abs(densities - density))]


def is_cubic(voxels):
    """Whether all 48 signed axis permutations leave a unit as it is."""
    mirrored = all(np.array_equal(voxels, np.flip(voxels, axis)) for axis in range(3))
    return mirrored and all(
        np.array_equal(voxels, voxels.transpose(axes)) for axes in permutations(range(3))
    )


def is_connected(voxels):
    """Whether the solid is one component, joined by voxel faces, across the cell faces too."""
    reached = np.zeros_like(voxels)
    reached[np.unravel_index(np.argmax(voxels), voxels.shape)] = True
    count = 0
    while np.count_nonzero(reached) > count:
        count = np.count_nonzero(reached)
        for axis in range(3):
            reached |= np.roll(reached, 1, axis) | np.roll(reached, -1, axis)
            reached &= voxels
    return np.array_equal(reached, voxels)


def check(name, voxels):
    """Stop if a unit is not what its entry in ``UNITS`` says, or falls apart."""
    if not is_connected(voxels):
        raise SystemExit(f"{name}: not in one piece; raise --resolution")
    if UNITS[name][2] and not is_cubic(voxels):
        raise SystemExit(f"{name}: not cubic, its level function must be wrong")


def main():
    parser = argparse.ArgumentParser(description="Make five periodic unit cells as .npy files.")
    parser.add_argument("--resolution", type=int, default=48, help="voxels per edge (48)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parent / "units", help="folder"
    )
    args = parser.parse_args()
    units = {name: make_unit(name, args.resolution) for name in UNITS}
    for name, voxels in units.items():
        check(name, voxels)
    args.output.mkdir(parents=True, exist_ok=True)
    for name, voxels in units.items():
        np.save(args.output / f"{name}.npy", voxels)
        print(f"{name}: density {voxels.mean():.4f}")


if __name__ == "__main__":
    main()
