"""The periodic unit cell: what counts as one, and what of it carries load."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from homog import component_kernels
from homog.errors import DataError, ParameterError

AXES = "xyz"
NEIGHBOURS = np.array(list(product((-1, 0, 1), repeat=3)))[14:]  # one of each +- pair
FACES = NEIGHBOURS[np.abs(NEIGHBOURS).sum(axis=1) == 1]  # steps to voxels that share a face
HINGES = NEIGHBOURS[np.abs(NEIGHBOURS).sum(axis=1) > 1]  # an edge or a corner


def validated_voxels(array, threshold=None):
    """Boolean voxels of an array that claims to be a unit cell.

    Parameters
    ----------
    array : (nx, ny, nz) array_like
        Booleans, or numbers that are 0 (void) or 1 (solid); with ``threshold`` any
        non-negative finite numbers.
    threshold : float, optional
        Solid is where ``array >= threshold``.

    Returns
    -------
    (nx, ny, nz) bool array, C order

    Raises
    ------
    DataError
        If the array is not three-dimensional, is empty, or holds other values.
    ParameterError
        If ``threshold`` is not positive and finite.
    """
    if threshold is not None and not (threshold > 0 and np.isfinite(threshold)):
        raise ParameterError(f"threshold must be positive and finite, got {threshold:g}")
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise DataError(f"expected booleans or numbers, got dtype {array.dtype}; save a bool array")
    if array.ndim != 3:
        raise DataError(
            f"expected a 3-D array of voxels (nx, ny, nz), got {array.ndim}-D {array.shape}"
        )
    if array.size == 0:
        raise DataError(f"expected at least one voxel along each axis, got shape {array.shape}")
    voxels = array.astype(bool) if threshold is None else array >= threshold
    if threshold is not None or not np.array_equal(voxels, array):
        _check_values(array, threshold)
    return np.ascontiguousarray(voxels)


def _check_values(array, threshold):
    """Say why values are not those of a cell; with a threshold, if they are not."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("expected finite values, got NaN or infinity; clean the array first")
    if array.dtype.kind != "b" and array.min() < 0:
        raise DataError(
            f"expected values of 0 (void) and 1 (solid), got a minimum of {array.min()}; "
            "shift the values so that void is 0"
        )
    if threshold is None:
        raise DataError(
            "expected only 0 (void) and 1 (solid), got values from "
            f"{array.min()} to {array.max()}; compare them with a threshold (--threshold)"
        )


@dataclass(frozen=True)
class Components:
    """Connected components of a periodic cell.

    ``labels`` (nx, ny, nz) is 0 in void and 1, 2, ... in the components. ``spans`` (count, 3)
    tells for each component along which axes it connects to its own periodic images.
    """

    labels: np.ndarray
    spans: np.ndarray


def components(solid, corners=False):
    """Label the components of a periodic cell.

    Parameters
    ----------
    solid : (nx, ny, nz) bool array
    corners : bool
        Whether voxels that share only an edge or a corner (a hinge) are connected too, as
        they are for finite elements with common nodes; else only those that share a face.

    Returns
    -------
    Components
    """
    labels, forest = _labelled(solid)
    _join(labels, forest, FACES)
    if corners:
        _join(labels, forest, HINGES)
    return Components(_numbered(labels, forest), forest.spans[_roots(forest)])


def pieces(solid):
    """Label what shares faces within the box, and not across its periodic faces.

    Parameters
    ----------
    solid : (nx, ny, nz) bool array

    Returns
    -------
    labels : (nx, ny, nz) array
        0 in void, 1, 2, ... in the pieces.
    count : int
    """
    labels, forest = _labelled(solid)
    return _numbered(labels, forest), len(_roots(forest))


def carries_mirrored(octant):
    """Whether the cell of an octant with all permutations is one part that spans all axes.

    Its mirror images continue a piece of the octant and join no two pieces.

    Parameters
    ----------
    octant : (n, n, n) bool array
        Of a cell with mirrors on all faces of the octant; invariant under permutations.

    Returns
    -------
    connected, spanning : bool
    """
    labels, count = pieces(octant)
    return count == 1, bool(labels[0].any() and labels[-1].any())


def leading_through(octant):
    """Pieces of an octant with all permutations that lead from cell to cell.

    What touches both ends of one axis does so along all: on its way it meets the planes where two
    coordinates are equal, and what meets them is its own image when these two are exchanged.

    Parameters
    ----------
    octant : (n, n, n) bool array
        As of ``carries_mirrored``.

    Returns
    -------
    labels : (n, n, n) array
        As of ``pieces``.
    through : (m,) array
        Labels of those that lead through, the largest first.
    """
    labels, _ = pieces(octant)
    found = np.intersect1d(labels[0], labels[-1])
    found = found[found > 0]
    sizes = np.bincount(labels.ravel())[found]
    return labels, found[np.argsort(-sizes, kind="stable")]


def permutes(octant):
    """Whether an octant is invariant under permutations of its axes."""
    return np.array_equal(octant, octant.transpose(1, 2, 0)) and np.array_equal(
        octant, octant.transpose(1, 0, 2)
    )


def is_open(voxels):
    """Whether a part of the void connects the cell with its periodic images along all axes."""
    return bool(components(~voxels).spans.all(axis=1).any())


def encloses_void(voxels):
    """Whether a part of the void is closed off: it leads from the cell to none of its images."""
    return bool((~components(~voxels).spans.any(axis=1)).any())


def is_open_mirrored(octant):
    """``is_open`` of the cell of an octant with mirrors on all its faces."""
    labels, _ = pieces(~octant)
    ends = [set(np.unique(np.take(labels, end, axis))) for axis in range(3) for end in (0, -1)]
    return bool(set.intersection(*ends) - {0})


def _labelled(solid):
    """Labels of the pieces in the box, which its periodic faces cut, and a ``Forest`` of them."""
    solid = np.array(solid, dtype=bool, order="C")  # one type for the kernel
    most = (solid.size + 1) // 2 + 1  # labels, as in a chequerboard, and void
    labels = np.empty(solid.shape, dtype=np.int32)
    parent, size = np.zeros((2, most), dtype=np.int32)
    position, spans = np.zeros((most, 3), dtype=np.int32), np.zeros((most, 3), dtype=bool)
    forest = component_kernels.Forest(parent, position, size, spans)
    count = component_kernels.label_voxels(solid, labels, forest)
    forest = component_kernels.Forest(*(array[: count + 1] for array in forest))
    component_kernels.flatten(forest)
    component_kernels.merge_labels(labels, forest)
    return labels, forest


def _join(labels, forest, steps):
    """Join what voxels have contact in the directions ``steps``."""
    component_kernels.join_contacts(labels, steps, forest)
    component_kernels.flatten(forest)


def _numbered(labels, forest):
    """Labels that count the trees from 1 on, in the order of their roots."""
    roots = _roots(forest)
    number = np.zeros(len(forest.parent), dtype=np.int32)
    number[roots] = np.arange(1, len(roots) + 1)
    return np.take(number[forest.parent], labels)


def _roots(forest):
    """The labels that are roots, without void."""
    return np.flatnonzero(forest.parent == np.arange(len(forest.parent)))[1:]


@dataclass(frozen=True)
class LoadPath:
    """The solid that can carry load, and the axes along which it does.

    ``solid`` (nx, ny, nz) bool, ``spans`` (3,) bool. The solid falls into ``pieces`` where only
    faces within the box count as contact, into ``parts`` where periodic faces do too, and into
    ``components`` with edges and corners.
    """

    solid: np.ndarray
    spans: np.ndarray
    pieces: int
    parts: int
    components: int


def load_path(voxels):
    """Part of the cell that connects to its own periodic images.

    A component that does not can follow any mean strain without stress, so leaving it out
    changes nothing. Edges and corners count as contact here because finite elements transmit
    forces through the nodes there.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array

    Returns
    -------
    LoadPath
    """
    labels, forest = _labelled(voxels)
    pieces = _roots(forest)
    _join(labels, forest, FACES)
    parts = hinged = _roots(forest)
    if len(parts) > 1 or not forest.spans[parts].all():  # else hinges can add nothing
        _join(labels, forest, HINGES)
        hinged = _roots(forest)
    spans = forest.spans[forest.parent]  # of the component of each label
    carries = spans.any(axis=1)
    counts = [np.count_nonzero(carries[roots]) for roots in (pieces, parts, hinged)]
    return LoadPath(np.take(carries, labels), spans.any(axis=0), *counts)
