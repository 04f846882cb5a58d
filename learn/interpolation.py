"""Units between two units: points on the arc between their latent vectors, decoded."""

from dataclasses import dataclass

import numpy as np

from homog.cell import load_path
from homog.errors import ParameterError
from homog.units.family import unfold
from learn.octants import SOLID


@dataclass(frozen=True)
class Step:
    """A unit on the way.

    Parameters
    ----------
    t : float
        0 at the first unit, 1 at the second.
    z : (latent,) array
    voxels : (2 n, 2 n, 2 n) bool array
        Of the whole cell, as decoded.
    fault : str
        Empty if the unit is one part that carries load along all axes, else what is wrong.
    """

    t: float
    z: np.ndarray
    voxels: np.ndarray
    fault: str


def slerp(z0, z1, t):
    """Spherical linear interpolation of latent vectors (Eq. 16).

    Parameters
    ----------
    z0, z1 : (latent,) array
    t : (k,) array
        0 at z0, 1 at z1.

    Returns
    -------
    (k, latent) array

    References
    ----------
    White (2016), Sampling generative networks, arXiv:1609.04468.
    """
    z0, z1, t = (np.asarray(part, float) for part in (z0, z1, t))
    lengths = np.linalg.norm(z0) * np.linalg.norm(z1)
    cosine = np.clip(z0 @ z1 / lengths, -1, 1) if lengths else 1.0
    angle = np.arccos(cosine)
    t = t[:, None]
    if np.sin(angle) < 1e-6:  # on one line there is no arc
        return (1 - t) * z0 + t * z1
    return (np.sin((1 - t) * angle) * z0 + np.sin(t * angle) * z1) / np.sin(angle)


def morph(surrogate, first, second, steps=9):
    """Units from one to another.

    Parameters
    ----------
    surrogate : Surrogate
    first, second : (n, n, n) bool array
        Octants, of the size that the surrogate knows.
    steps : int
        Number of units, both ends included.

    Returns
    -------
    list of Step

    Raises
    ------
    ParameterError
        If there are fewer than two steps.
    """
    if steps < 2:
        raise ParameterError(f"steps must be 2 or more, got {steps}")
    t = np.linspace(0, 1, steps)
    z = slerp(*surrogate.encode(np.stack([first, second])), t)
    cells = unfold(surrogate.decode(z) >= SOLID)
    return [Step(*row, fault(row[2])) for row in zip(t.tolist(), z, cells, strict=True)]


def fault(voxels):
    """What is wrong with a decoded unit, or an empty text.

    Parameters
    ----------
    voxels : (nx, ny, nz) bool array
    """
    if not voxels.any():
        return "empty"
    path = load_path(voxels)
    if not path.spans.all():
        return "does not span"
    if not np.array_equal(path.solid, voxels):
        return "fragments"
    return "" if path.parts == 1 else f"{path.parts} parts"
