"""Voxels as closed triangle meshes for printing and viewing, and back. Needs the extra ``files``.

Points are counted in thousandths of a voxel until the mesh is whole: integers merge exactly, and
differ still when a file stores them in single precision.
"""

from pathlib import Path

import numpy as np
import trimesh
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes

from homog.errors import DataError, ParameterError
from homog.files import write_atomically
from homog.formats import check_free

ENDINGS = (".stl", ".3mf", ".glb")
UNIT = 1000  # steps per edge of a voxel
TOLERANCE = 0.01  # relative, of the volume of a mesh
MEMORY = 700  # bytes taken for each triangle, measured
GLTF = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1e3]]) / 1e3
BLUR = 0.6  # voxels: walls of one voxel vanish with more
REFINEMENT = 2  # samples per voxel along each axis of the smooth surface


def write_mesh(path, voxels, size=10.0, tile=1, smooth=False):
    """Write the solid of a unit cell, or of a block of cells, as a closed body.

    STL and 3MF are in millimetres. GLB is in metres with y upwards, as glTF wants it.

    Parameters
    ----------
    path : str or Path
        Ends in ``.stl``, ``.3mf`` or ``.glb``.
    voxels : (nx, ny, nz) bool array
        One periodic cell.
    size : float
        Longest edge of one cell, in millimetres.
    tile : int
        Cells along each axis.
    smooth : bool
        Whether to round the steps of the voxels off; see ``smooth_surface``.

    Returns
    -------
    trimesh.Trimesh
        In millimetres; the first cell has its corner in the origin.

    Raises
    ------
    ParameterError
        If ``size`` or ``tile`` is out of range, or the ending is unknown.
    DataError
        If there is no solid, memory does not suffice, or the mesh fails ``check_mesh``; nothing
        is written then.
    OSError
        If writing fails.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ParameterError(f"{path}: expected a name that ends in {' or '.join(ENDINGS)}")
    mesh = solid_mesh(voxels, size, tile, smooth)
    write_atomically(path, _content(mesh, ending[1:]))
    return mesh


def solid_mesh(voxels, size=10.0, tile=1, smooth=False):
    """Checked mesh of the solid of a block of cells; parameters as in ``write_mesh``."""
    if not (size > 0 and np.isfinite(size)):
        raise ParameterError(f"size must be positive and finite, got {size:g}")
    if tile < 1:
        raise ParameterError(f"tile must be at least 1, got {tile}")
    if not voxels.any():
        raise DataError("expected some solid, got a void cell: there is no surface to export")
    _check_memory(voxels, tile, smooth)
    surface = smooth_surface if smooth else voxel_surface
    vertices, faces = surface(voxels, tile)
    edge = size / max(voxels.shape)
    mesh = trimesh.Trimesh(vertices * edge, faces, process=False)
    check_mesh(mesh, np.count_nonzero(voxels) * (tile * edge) ** 3)
    return mesh


def check_mesh(mesh, volume):
    """Refuse a mesh that bounds no body of about this volume.

    Parameters
    ----------
    mesh : trimesh.Trimesh
    volume : float
        In the cubed unit of the vertices.

    Raises
    ------
    DataError
        If an edge has not two faces, faces disagree on the outside, normals point inwards, or
        the volume differs by more than 1 %.
    """
    if not (mesh.is_watertight and mesh.is_winding_consistent):
        raise DataError("the mesh is not watertight; nothing was written; leave --smooth out")
    if not abs(mesh.volume / volume - 1) <= TOLERANCE:  # normals that point inwards: negative
        raise DataError(
            f"the mesh has {mesh.volume / volume:.2%} of the volume of the voxels, expected 99 to "
            "101 %; nothing was written; leave --smooth out or refine the voxels"
        )


def _content(mesh, kind):
    """Bytes of a file of this kind."""
    if kind != "glb":
        return mesh.export(file_type=kind)
    scene = trimesh.Scene()
    scene.add_geometry(mesh, transform=GLTF)
    return scene.export(file_type=kind)


def _check_memory(voxels, tile, smooth):
    """Refuse a block whose triangles do not fit in memory."""
    faces = sum(np.count_nonzero(voxels != np.roll(voxels, 1, axis)) for axis in range(3))
    faces += sum(voxels.take((0, -1), axis).sum() for axis in range(3)) // tile
    needed = MEMORY * 2 * faces * tile**3 * (REFINEMENT**2 if smooth else 1)
    check_free(needed, "its surface needs", "use fewer tiles")


def voxel_surface(voxels, tile=1):
    """Surface of the solid voxels of a block of cells, its outer faces included.

    Where voxels touch along an edge only, the middle of that edge is there once for each of them,
    drawn into its voxel by a thousandth of the edge: so every edge has two faces, and keeps them
    in a file that knows positions only. The volume is exact but for that.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        One cell.
    tile : int
        Cells along each axis.

    Returns
    -------
    vertices : (n, 3) array
        In voxels; the first cell spans [0, nx] x [0, ny] x [0, nz].
    faces : (m, 3) int array
        Vertices of each triangle, counter-clockwise from outside.
    """
    owners, loops = _squares(np.tile(voxels, (tile,) * 3))
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


def smooth_surface(voxels, tile=1, blur=BLUR):
    """Smooth surface of the solid of a block of periodic cells, flat at the faces of the block.

    A level of the blurred voxels, chosen so that the volume fraction stays.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
        One periodic cell.
    tile : int
        Cells along each axis.
    blur : float
        Standard deviation of the smoothing, in voxels. Walls thinner than about twice that vanish.

    Returns
    -------
    vertices, faces
        As of ``voxel_surface``.
    """
    field = _blurred(voxels, blur)
    mesh, level = _equal_volume(field, voxels)
    if tile == 1:
        return mesh
    block = np.tile(field[:-1, :-1, :-1], (tile,) * 3)
    return _level_surface(np.pad(block, (0, 1), mode="wrap"), level)


def _equal_volume(field, voxels):
    """Surface and level of a field that bound the volume of the solid voxels."""
    wanted = voxels.mean()
    shares = np.clip(1 - wanted * np.array([1.5, 1, 0.5]), 0, 1)
    lower, level, upper = np.quantile(field[:-1, :-1, :-1], shares)
    for _ in range(12):  # a share of the samples is not quite one of the volume
        mesh = _level_surface(field, level)
        found = _volume(*mesh) / voxels.size
        if abs(found / wanted - 1) < TOLERANCE / 4:
            break
        lower, upper = (level, upper) if found > wanted else (lower, level)
        level = (lower + upper) / 2
    return mesh, level


def _level_surface(field, level):
    """Closed surface of what lies above a level."""
    margin = 5e-3  # else a vertex may fall on a sample, and triangles there shrink to nothing
    field = np.where(field >= level, np.maximum(field, level + margin), field)
    field = np.where(field < level, np.minimum(field, level - margin), field)
    closed = np.pad(field, 1, constant_values=level - 1)
    vertices, faces, _, _ = marching_cubes(closed, level, gradient_direction="ascent")
    points = np.rint((vertices.astype(float) - 1) * (UNIT / REFINEMENT)).astype(np.int64)
    last = (np.array(field.shape) - 1) * UNIT // REFINEMENT
    return _merged(points.clip(0, last)[faces])  # caps flat on the faces of the box


def _volume(vertices, faces):
    """Volume that a closed surface encloses."""
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6


def _blurred(voxels, blur):
    """Periodic blur at ``REFINEMENT`` points a voxel, from face to face of the box."""
    blurred = gaussian_filter(voxels.astype(float), blur, mode="wrap")
    steps = [np.arange(n * REFINEMENT + 1) / REFINEMENT - 0.5 for n in voxels.shape]
    points = np.meshgrid(*steps, indexing="ij")
    return map_coordinates(blurred, points, order=3, mode="grid-wrap")
