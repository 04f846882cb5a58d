"""Distances to the bars and plates of a skeleton.

Reference
---------
Ericson (2005), Real-Time Collision Detection, sec. 5.1 (closest points).
"""

import numpy as np


def bar_distance(points, start, end):
    """Distance of points to a bar, and the place of the nearest point on it.

    Parameters
    ----------
    points : (m, 3) array
    start, end : (3,) array
        Ends of the axis of the bar; they may coincide.

    Returns
    -------
    distance : (m,) array
    place : (m,) array
        0 at ``start``, 1 at ``end``.
    """
    start, along = np.asarray(start), np.subtract(end, start)
    offset = points - start
    place = np.clip(offset @ along / max(along @ along, 1e-30), 0, 1)
    offset -= place[:, None] * along
    return np.sqrt(np.einsum("ij,ij->i", offset, offset)), place


def plate_distance(points, first, second, third):
    """Distance of points to a triangular plate, (m,) array.

    Parameters
    ----------
    points : (m, 3) array
    first, second, third : (3,) array
        Corners of the middle plane.
    """
    corners = (first, second, third)
    edges = zip(corners, (second, third, first), strict=True)
    nearest = np.minimum.reduce([bar_distance(points, p, q)[0] for p, q in edges])
    u, v = np.subtract(second, first), np.subtract(third, first)
    normal = np.cross(u, v)
    size = normal @ normal
    if size < 1e-20:  # the corners lie on a line
        return nearest
    offset = points - np.asarray(first)
    s, t = offset @ np.cross(v, normal) / size, offset @ np.cross(normal, u) / size
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    return np.where(inside, np.abs(offset @ normal) / np.sqrt(size), nearest)
