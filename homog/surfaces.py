"""Closed triangle surfaces of voxels: their own faces, or a smooth level of the same volume.

Points are counted in thousandths of a voxel until the mesh is whole: integers merge exactly, and
differ still when a file stores them in single precision.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes

UNIT = 1000  # steps per edge of a voxel
TOLERANCE = 0.0025  # relative, of the volume that a smooth surface encloses
BLUR = 0.6  # voxels: walls of one voxel vanish with more
REFINEMENT = 2  # samples per voxel along each axis of the smooth surface


def voxel_surface(voxels, tile=1):
    """Surface of the solid voxels of a block of cells, its outer faces included.

    Where voxels touch along an edge only, the middle of that edge is there once for each of them,
    drawn into its voxel by a thousandth of the edge: so every edge has two faces, and keeps them
    in a file that knows positions only. The volume is exact but for that.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        One cell.
    tile : int or (3,) int
        Cells along each axis.

    Returns
    -------
    vertices : (n, 3) array
        In voxels; the first cell spans [0, nx] x [0, ny] x [0, nz].
    faces : (m, 3) int array
        Vertices of each triangle, counter-clockwise from outside.
    """
    owners, loops = _squares(np.tile(voxels, np.broadcast_to(tile, 3)))
    following = np.roll(loops, -1, axis=1)
    pinched = _pinched(loops + following)
    plain = ~pinched.any(axis=1)
    flat = loops[plain][:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 3) * UNIT
    fans = _fans(owners[~plain], loops[~plain], following[~plain], pinched[~plain])
    return _merged(np.concatenate([flat, fans]))


def _squares(voxels):
    """Voxels (m, 3) and corners (m, 4, 3), counter-clockwise, of the squares between two phases."""
    padded = np.pad(voxels, 1)
    owners, loops = [], []
    for axis in range(3):
        a, b, c = np.roll(np.eye(3, dtype=np.int64), -axis, axis=0)
        for side in (0, 1):
            neighbour = np.roll(padded, -1 if side else 1, axis)
            owner = np.argwhere(padded & ~neighbour) - 1
            square = side * a + np.array([0 * b, b, b + c, c])[:: 1 if side else -1]
            owners.append(owner)
            loops.append(owner[:, None] + square)
    return np.concatenate(owners), np.concatenate(loops)


def _pinched(sums):
    """Which edges, given as sums of their ends, have four faces."""
    keys = np.ravel_multi_index(np.moveaxis(sums, -1, 0), sums.max(axis=(0, 1)) + 1)
    return np.bincount(keys.ravel())[keys] == 4


def _fans(owners, loops, following, pinched):
    """Triangles of squares with pinched edges, (t, 3, 3), each about the middle of its square."""
    centre = np.broadcast_to(loops.sum(axis=1, keepdims=True) * UNIT // 4, loops.shape)
    middle = (loops + following) * UNIT // 2
    inwards = np.sign(owners[:, None] * UNIT + UNIT // 2 - middle)  # 0 along the edge
    middle = middle + inwards
    corner, following = loops * UNIT, following * UNIT
    whole = np.stack([centre, corner, following], axis=2)[~pinched]
    first = np.stack([centre, corner, middle], axis=2)[pinched]
    second = np.stack([centre, middle, following], axis=2)[pinched]
    return np.concatenate([whole, first, second])


def _merged(triangles):
    """Vertices in voxels and faces of triangles in steps, (t, 3, 3) int."""
    points = triangles.reshape(-1, 3)
    lengths = points.max(axis=0) + 1
    keys, faces = np.unique(np.ravel_multi_index(points.T, lengths), return_inverse=True)
    vertices = np.stack(np.unravel_index(keys, lengths), axis=1) / UNIT
    faces = faces.reshape(-1, 3)
    collapsed = (faces == np.roll(faces, 1, axis=1)).any(axis=1)
    return vertices, faces[~collapsed]


def smooth_surface(voxels, tile=1, blur=BLUR, refinement=REFINEMENT):
    """Smooth surface of the solid of a block of periodic cells, flat at the faces of the block.

    A level of the blurred voxels, chosen so that the volume fraction stays.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        One periodic cell.
    tile : int or (3,) int
        Cells along each axis.
    blur : float
        Standard deviation of the smoothing, in voxels. Walls thinner than about twice that vanish.
    refinement : int
        Samples per voxel along each axis.

    Returns
    -------
    vertices, faces
        As of ``voxel_surface``.
    """
    field = blurred(voxels, blur, refinement)
    mesh, level = _equal_volume(field, voxels, refinement)
    tile = np.broadcast_to(tile, 3)
    if (tile == 1).all():
        return mesh
    block = np.tile(field[:-1, :-1, :-1], tile)
    return _level_surface(np.pad(block, (0, 1), mode="wrap"), level, refinement)


def _equal_volume(field, voxels, refinement):
    """Surface and level of a field that bound the volume of the solid voxels."""
    wanted = voxels.mean()
    shares = np.clip(1 - wanted * np.array([1.5, 1, 0.5]), 0, 1)
    lower, level, upper = np.quantile(field[:-1, :-1, :-1], shares)
    for _ in range(12):  # a share of the samples is not quite one of the volume
        mesh = _level_surface(field, level, refinement)
        found = enclosed_volume(*mesh) / voxels.size
        if abs(found / wanted - 1) < TOLERANCE:
            break
        lower, upper = (level, upper) if found > wanted else (lower, level)
        level = (lower + upper) / 2
    return mesh, level


def _level_surface(field, level, refinement):
    """Closed surface of what lies above a level."""
    margin = 5e-3  # else a vertex may fall on a sample, and triangles there shrink to nothing
    field = np.where(field >= level, np.maximum(field, level + margin), field)
    field = np.where(field < level, np.minimum(field, level - margin), field)
    closed = np.pad(field, 1, constant_values=level - 1)
    vertices, faces, _, _ = marching_cubes(closed, level, gradient_direction="ascent")
    points = np.rint((vertices.astype(float) - 1) * (UNIT / refinement)).astype(np.int64)
    last = (np.array(field.shape) - 1) * UNIT // refinement
    return _merged(points.clip(0, last)[faces])  # caps flat on the faces of the box


def enclosed_volume(vertices, faces):
    """Volume that a closed surface encloses."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6


def blurred(voxels, blur, refinement=REFINEMENT):
    """Periodic blur at ``refinement`` points a voxel, from face to face of the box."""
    field = gaussian_filter(voxels.astype(float), blur, mode="wrap")
    steps = [np.arange(n * refinement + 1) / refinement - 0.5 for n in voxels.shape]
    points = np.meshgrid(*steps, indexing="ij")
    return map_coordinates(field, points, order=3, mode="grid-wrap")
