"""Parts in STL files as voxels: solid is where the centre of a voxel lies inside of the part.

A ray along x through the centres of each row of voxels meets the surface of the part; its winding
number, up one where a ray enters and down one where it leaves, is not zero inside. So bodies that
overlap are united, and the direction in which all triangles face does not matter.
"""

import io
import os
from dataclasses import dataclass

import numpy as np
import trimesh

from homog.errors import DataError, ParameterError
from homog.formats import available_memory, check_free, check_regular

MEMORY = 20  # bytes taken for each byte of a file, measured
PAIRS = 2**21  # of triangles and rays, looked at at once
SHIFTS = ((0.0, 0.0), (1.7e-5, 2.3e-5))  # of the rays, in voxels: the second try avoids all corners


@dataclass(frozen=True)
class Part:
    """Triangles of a part.

    ``triangles`` (t, 3, 3) are corners, counter-clockwise from outside, in the unit of the file;
    ``lower, upper`` (3,) the bounds.
    """

    triangles: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def read_stl(path):
    """Read the triangles of an STL file, binary or text.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Part

    Raises
    ------
    ParameterError
        If there is no such file.
    DataError
        If it is no STL file, is damaged, holds no body, or is too large for the memory.
    """
    check_regular(path)
    check_free(MEMORY * os.stat(path).st_size, "reading it takes", "reduce the triangles")
    with open(path, "rb") as stream:
        content = io.BytesIO(stream.read())  # a stream without a folder: no other file is found
    try:
        triangles = np.array(trimesh.load_mesh(content, file_type="stl", process=False).triangles)
    except MemoryError:
        raise
    except Exception as error:  # whatever a parser meets in a damaged file
        raise DataError("not an STL file, or a damaged one; export it again") from error
    if not (len(triangles) and np.isfinite(triangles).all()):
        raise DataError("expected triangles with finite corners; export the part again")
    lower, upper = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    if not (upper > lower).all():
        raise DataError("expected a body, got a flat surface; export the part again")
    return Part(triangles, lower, upper)


def voxelized(part, resolution, box=None):
    """Voxels whose centre lies in a part.

    Parameters
    ----------
    part : Part
    resolution : int
        Voxels along the longest edge of the box; the other edges get the nearest whole number.
    box : float, optional
        Edge of a cube with a corner in the origin, in the unit of the file. The bounds of the
        part if not given.

    Returns
    -------
    (nx, ny, nz) bool array

    Raises
    ------
    ParameterError
        If ``resolution`` or ``box`` is out of range.
    DataError
        If the part leaves the box, its surface is not closed, or memory does not suffice.
    """
    if resolution < 1:
        raise ParameterError(f"resolution must be at least 1, got {resolution}")
    lower, edges = _box(part, box)
    shape = tuple(np.maximum(1, np.rint(resolution * edges / edges.max())).astype(int).tolist())
    free = available_memory()
    if free is not None and 16.0 * np.prod(shape, dtype=float) > free:
        raise DataError(f"{shape} voxels do not fit in memory; use a lower resolution")
    corners = (part.triangles - lower) * (np.array(shape) / edges)
    for shift in SHIFTS:
        winding = _winding(corners + np.array((0.0, *shift)), shape)
        open_rays = np.count_nonzero(winding[-1])
        if not open_rays:
            return winding[:-1] != 0
    raise DataError(
        f"the surface is not closed: {open_rays} of {winding[-1].size} rays do not leave the part "
        "that they entered; close its holes first"
    )


def _box(part, size):
    """Lower corner and edges of the box."""
    if size is None:
        return part.lower, part.upper - part.lower
    if not (size > 0 and np.isfinite(size)):
        raise ParameterError(f"size must be positive and finite, got {size:g}")
    if (part.lower < -1e-3 * size).any() or (part.upper > 1.001 * size).any():
        reach = " x ".join(f"{a:g}..{b:g}" for a, b in zip(part.lower, part.upper, strict=True))
        raise DataError(f"the part ({reach}) leaves the box 0..{size:g}; move it, or leave --size")
    return np.zeros(3), np.full(3, float(size))


def _winding(corners, shape):
    """Winding number of each row of voxels before each voxel and at the end, (nx + 1, ny, nz)."""
    nx, ny, nz = shape
    steps = np.zeros((nx + 1) * ny * nz, dtype=np.int32)
    for part, rows in _candidates(corners, (ny, nz)):
        x, sign, rows = _crossings(corners[part], rows)
        first = np.clip(np.ceil(x - 0.5), 0, nx).astype(np.int64)  # centre beyond the crossing
        np.add.at(steps, np.ravel_multi_index((first, *rows.T), (nx + 1, ny, nz)), sign)
    return np.cumsum(steps.reshape(nx + 1, ny, nz), axis=0, dtype=np.int32)


def _candidates(corners, shape):
    """Triangles (p,), and rows (p, 2) whose centre lies in the rectangle about each, in pieces."""
    low = np.ceil(corners[..., 1:].min(axis=1) - 0.5).clip(0, shape).astype(np.int64)
    high = np.floor(corners[..., 1:].max(axis=1) + 0.5).clip(0, shape).astype(np.int64)
    extent = np.maximum(high - low, 0)
    counts = extent.prod(axis=1)
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]), PAIRS):
        pairs = np.arange(start, min(start + PAIRS, ends[-1]))
        part = np.searchsorted(ends, pairs, side="right")
        inner = pairs - (ends - counts)[part]
        yield part, low[part] + np.stack(np.divmod(inner, extent[part, 1]), axis=1)


def _crossings(corners, rows):
    """Where rows meet triangles: x, +1 where they enter the part and -1 else, and those rows."""
    y, z = (rows + 0.5).T
    inside = np.zeros(len(rows), dtype=bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        inside ^= _left_of_edge(corners[:, a, 1:], corners[:, b, 1:], y, z)
    corners, rows, y, z = corners[inside], rows[inside], y[inside], z[inside]
    a = corners[:, 0]
    normal = np.cross(corners[:, 1] - a, corners[:, 2] - a)
    with np.errstate(divide="ignore", invalid="ignore"):  # seen from the side: has no area
        x = a[:, 0] - ((y - a[:, 1]) * normal[:, 1] + (z - a[:, 2]) * normal[:, 2]) / normal[:, 0]
    ends = corners[..., 0]
    x = np.clip(np.nan_to_num(x), ends.min(axis=1), ends.max(axis=1))
    return x, -np.sign(normal[:, 0]).astype(np.int32), rows


def _left_of_edge(start, end, y, z):
    """Whether a line from (y, z) towards larger z meets an edge; alike for both its triangles.

    An edge holds its lower end but not its upper one, so a row through a corner or an edge counts
    for one triangle of those that share it, as if it were shifted.
    """
    swap = (start[:, 0] > end[:, 0])[:, None]
    (y0, z0), (y1, z1) = np.where(swap, end, start).T, np.where(swap, start, end).T
    spans = (y0 <= y) & (y < y1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return spans & (z < z0 + (y - y0) * ((z1 - z0) / (y1 - y0)))
