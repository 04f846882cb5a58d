"""The boolean cell that a field of densities stands for: no denser than asked, and one part."""

import numpy as np

from homog.cell import leading_through


def delivered(field, densities, volume_fraction):
    """Octant of the voxels of the highest values that hold together.

    Parts that carry no load are left out; the material goes to the voxels of the highest values
    that touch the rest.

    Parameters
    ----------
    field : (m,) array
        At the points of the tetrahedron.
    densities : DensityFilter
        Points that it keeps hollow stay void.
    volume_fraction : float
        Of the cell, at most.

    Returns
    -------
    (n/2, n/2, n/2) bool array or None
        None if no part of the solid is cubic and spans the cell.
    """
    count = np.bincount(densities.orbit.ravel())
    left = int(np.floor(volume_fraction * densities.orbit.size + 1e-9))
    order = np.argsort(-field, kind="stable")
    order = order[densities.free[order]]
    solid = np.zeros(len(field), bool)
    left -= _fill(solid, order, count, left)
    kept = _spanning_part(densities.octant(solid))
    if kept is None:
        return None
    inner = np.zeros_like(solid)
    inner[densities.orbit[kept]] = True
    left += count[solid].sum() - count[inner].sum()
    while left:
        border = _border(inner, densities)
        gained = _fill(inner, order[border[order]], count, left)
        if not gained:
            break
        left -= gained
    return densities.octant(inner)


def _fill(solid, order, count, left):
    """Make points solid in an order, as far as they fit; number of voxels of the octant."""
    gained = 0
    for point in order:
        if gained + count[point] <= left:
            solid[point] = True
            gained += count[point]
        if gained == left:
            break
    return gained


def _spanning_part(octant):
    """The largest part that spans the cell, or None."""
    labels, through = leading_through(octant)
    return labels == through[0] if len(through) else None


def _border(solid, densities):
    """Points of void voxels that share a face with a solid one, (m,) bool array."""
    octant = densities.octant(solid)
    near = np.zeros_like(octant)
    for axis in range(3):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        behind = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        near[ahead] |= octant[behind]
        near[behind] |= octant[ahead]
    out = np.zeros_like(solid)
    out[densities.orbit[near & ~octant]] = True
    return out
