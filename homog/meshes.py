"""Voxels as closed triangle meshes in files for printing and viewing. Needs the extra ``files``."""

from pathlib import Path

import numpy as np
import trimesh

from homog.errors import DataError, ParameterError
from homog.files import write_atomically
from homog.formats import check_free
from homog.surfaces import REFINEMENT, smooth_surface, voxel_surface

ENDINGS = (".stl", ".3mf", ".glb")
TOLERANCE = 0.01  # relative, of the volume of a mesh
MEMORY = 700  # bytes taken for each triangle, measured
GLTF = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1e3]]) / 1e3


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
