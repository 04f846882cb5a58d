"""The periodic unit cell: what counts as one, and what of it carries load."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from homog.errors import DataError, ParameterError

AXES = "xyz"


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
    if array.dtype.kind == "b" and threshold is None:
        return np.ascontiguousarray(array)
    _check_values(array, threshold)
    return np.ascontiguousarray(array >= (0.5 if threshold is None else threshold))


def _check_values(array, threshold):
    """Refuse what cannot be told apart into void and solid."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("expected finite values, got NaN or infinity; clean the array first")
    if array.dtype.kind != "b" and array.min() < 0:
        raise DataError(
            f"expected values of 0 (void) and 1 (solid), got a minimum of {array.min()}; "
            "shift the values so that void is 0"
        )
    if threshold is None and not np.isin(array, (0, 1)).all():
        raise DataError(
            "expected only 0 (void) and 1 (solid), got values from "
            f"{array.min()} to {array.max()}; give a threshold (--threshold) to tell them apart"
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
    structure = ndimage.generate_binary_structure(3, 3 if corners else 1)
    pieces, count = ndimage.label(solid, structure)
    component, loops = _join(count, _contacts_through_faces(pieces, structure))
    spans = np.zeros((component.max(), 3), dtype=bool)
    for index, loop in loops:
        spans[index - 1] |= loop != 0
    return Components(component[pieces], spans)


def _contacts_through_faces(pieces, structure):
    """Contacts through the periodic faces: unique rows of piece, piece, shift of the cell (3)."""
    shape = np.array(pieces.shape)
    voxels = np.argwhere(pieces)
    voxels = voxels[((voxels == 0) | (voxels == shape - 1)).any(axis=1)]
    contacts = []
    for step in np.argwhere(structure)[structure.sum() // 2 + 1 :] - 1:  # one of each +- pair
        shift, target = np.divmod(voxels + step, shape)
        crosses = shift.any(axis=1) & (pieces[tuple(target.T)] > 0)
        ends = (pieces[tuple(points[crosses].T)] for points in (voxels, target))
        contacts.append(np.column_stack([*ends, shift[crosses]]))
    return np.unique(np.concatenate(contacts), axis=0)


def _join(count, contacts):
    """Component of each piece (index 0: void), and the closed loops as (component, shift)."""
    neighbours = [[] for _ in range(count + 1)]
    for first, second, *shift in contacts.tolist():
        neighbours[first].append((second, np.array(shift)))
        neighbours[second].append((first, -np.array(shift)))
    component = np.zeros(count + 1, dtype=np.int32)
    position = [None] * (count + 1)  # of a piece in its unwrapped component, in cells
    loops = []
    for start in range(1, count + 1):
        if component[start]:
            continue
        component[start], position[start] = component.max() + 1, np.zeros(3, dtype=int)
        queue = [start]
        for piece in queue:
            for other, shift in neighbours[piece]:
                reached = position[piece] + shift
                if not component[other]:
                    component[other], position[other] = component[start], reached
                    queue.append(other)
                elif (reached != position[other]).any():
                    loops.append((component[start], reached - position[other]))
    return component, loops


@dataclass(frozen=True)
class LoadPath:
    """The solid that can carry load, and the axes along which it does.

    ``solid`` (nx, ny, nz) bool, ``spans`` (3,) bool.
    """

    solid: np.ndarray
    spans: np.ndarray


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
    parts = components(voxels, corners=True)
    carries = np.append(False, parts.spans.any(axis=1))
    return LoadPath(carries[parts.labels], parts.spans.any(axis=0))
