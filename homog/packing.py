"""Cells from elsewhere as a dataset."""

import numpy as np

from homog.cell import is_open, is_open_mirrored, validated_voxels
from homog.dataset import Cells, pack
from homog.errors import DataError, naming
from homog.formats import check_memory, read_array
from homog.symmetry import symmetry
from homog.thickness import smallest_feature

CUBIC = 48  # operations of full cubic symmetry


def packed_files(paths, threshold=None, progress=None):
    """Read cells of one shape from files of arrays; octants if all of them are cubic.

    Parameters
    ----------
    paths : sequence of str
        ``.npy`` or ``.npz`` files with one array each; their names become the families.
    threshold : float, optional
        Solid is where a value is at least this.
    progress : callable, optional
        Called for each file.

    Returns
    -------
    Cells

    Raises
    ------
    ParameterError, DataError
        If a file is not a cell, names the file; or if shapes differ.
    """
    cells = []
    for path in paths:
        with naming(path):
            cells.append(validated_voxels(read_array(path), threshold))
        if cells[-1].shape != cells[0].shape:
            raise DataError(
                f"{path}: shape {cells[-1].shape} differs from {cells[0].shape} of {paths[0]}; "
                "pack the cells of each shape into a file of their own"
            )
        check_memory(cells[0].size, cells[0].size)
        if progress:
            progress()
    return packed_cells(cells, [str(path) for path in paths])


def packed_cells(cells, names):
    """Cells of one shape as they are stored.

    Parameters
    ----------
    cells : list of (nx, ny, nz) bool array
    names : list of str
        What each is called.

    Returns
    -------
    Cells
    """
    shape = cells[0].shape
    even = not any(n % 2 for n in shape)
    cubic = even and all(symmetry(voxels).order == CUBIC for voxels in cells)
    half = tuple(slice(n // 2) for n in shape)
    count = len(cells)
    columns = {
        "volume_fraction": np.array([voxels.mean() for voxels in cells]),
        "smallest_feature": np.array([smallest_feature(v) for v in cells], np.int16),
        "open_cell": np.array([is_open(voxels) for voxels in cells]),
        "family": np.arange(count, dtype=np.int32),
        "level": np.full(count, np.nan),
        "parameters": np.full((count, 1), np.nan),
    }
    packed = np.array([pack(voxels[half] if cubic else voxels) for voxels in cells])
    families = [(name, "files", ()) for name in names]
    return Cells(packed, shape, cubic, columns, families, {"command": "pack"})


def packed_octants(octants, names, source, origin, level=None):
    """Octants of cubic cells as they are stored.

    Parameters
    ----------
    octants : (count, n, n, n) bool array
        Invariant under permutations of the axes.
    names : list of str
        Family of each.
    source : str
        Of all families.
    origin : dict
        What made the cells.
    level : (count,) array, optional
        At which their fields were cut.

    Returns
    -------
    Cells
    """
    count, families = len(octants), list(dict.fromkeys(names))
    columns = {
        "volume_fraction": octants.mean(axis=(1, 2, 3)),
        "smallest_feature": np.array([smallest_feature(o, mirrored=True) for o in octants], "i2"),
        "open_cell": np.array([is_open_mirrored(octant) for octant in octants], bool),
        "family": np.array([families.index(name) for name in names], np.int32),
        "level": np.full(count, np.nan) if level is None else np.asarray(level, float),
        "parameters": np.full((count, 1), np.nan),
    }
    shape = tuple(2 * n for n in octants.shape[1:])
    families = [(name, source, ()) for name in families]
    return Cells(pack(octants), shape, True, columns, families, origin)
