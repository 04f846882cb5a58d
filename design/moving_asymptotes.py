"""A step of the method of moving asymptotes for one objective and one limit of the volume.

About the variables x the objective is replaced by the convex, separable function

    f(y) = sum of p / (U - y) + q / (y - L),   L = x - w,  U = x + w,

and the volume, which grows with every variable, by g(y) = sum of r / (U - y). For a multiplier
m of the volume the minimum of f + m g between the limits of the move is known in closed form, and
its volume falls as m rises: m is found by bisection. The volume of the model itself is compared
with the limit, not g, so that the limit holds after every step although it is not linear.

References
----------
Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359-373.
Svanberg (2002), SIAM J. Optim. 12, 555-573 (the coefficients p and q).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOVE = 0.2  # of a variable in one step, at most
FIRST_WIDTH = 0.5  # from a variable to its asymptotes
NARROWEST, WIDEST = 0.01, 10.0
SLOWER, FASTER = 0.7, 1.2  # for variables that turn round, and that go on
CLOSEST = 0.9  # part of the way to an asymptote that a step may take
EXPONENTS = 40.0  # the multiplier lies between exp(-40) and exp(40)
HALVINGS = 64


@dataclass(frozen=True)
class Subproblem:
    """The convex problem about a point.

    Parameters
    ----------
    x : (m,) array
        Variables, in [0, 1].
    width : (m,) array
        Distance w of both asymptotes from x, > 0.
    gradient : (m,) array
        Of the objective, which is to fall; of either sign.
    volume_gradient : (m,) array
        Of the volume, >= 0.
    """

    x: np.ndarray
    width: np.ndarray
    gradient: np.ndarray
    volume_gradient: np.ndarray

    @cached_property
    def coefficients(self):
        """p, q of the objective and r of the volume, (m,) arrays."""
        slope = self.gradient / (np.abs(self.gradient).max() or 1.0)  # the minimum is the same
        rise, fall = np.maximum(slope, 0), np.maximum(-slope, 0)
        square = self.width**2
        least = 1e-5  # strictly convex also where the objective does not change
        p = square * (1.001 * rise + 0.001 * fall + least)
        q = square * (0.001 * rise + 1.001 * fall + least)
        return p, q, square * self.volume_gradient

    @cached_property
    def limits(self):
        """Least and largest values of the variables after the step, (m,) arrays."""
        reach = np.minimum(MOVE, CLOSEST * self.width)
        return np.maximum(self.x - reach, 0), np.minimum(self.x + reach, 1)

    def minimum(self, multiplier):
        """Variables that minimise f + multiplier * g, (m,) array."""
        p, q, r = self.coefficients
        root_p, root_q = np.sqrt(p + multiplier * r), np.sqrt(q)
        shift = self.width * (root_q - root_p) / (root_p + root_q)
        return np.clip(self.x + shift, *self.limits)


def step(subproblem, volume, largest):
    """Minimum of the convex problem with a volume of at most ``largest``.

    Parameters
    ----------
    subproblem : Subproblem
    volume : callable
        Maps (m,) variables to a volume that does not fall when a variable rises.
    largest : float

    Returns
    -------
    (m,) array
        Where no move is long enough to reach the volume, the one that comes nearest.
    """
    free = subproblem.minimum(0.0)
    if volume(free) <= largest:
        return free
    low, high = -EXPONENTS, EXPONENTS
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if volume(subproblem.minimum(np.exp(middle))) > largest:
            low = middle
        else:
            high = middle
    return subproblem.minimum(np.exp(high))


def adapted(width, x, older, oldest):
    """Distances to the asymptotes after two steps: less where variables turn round.

    Parameters
    ----------
    width : (m,) array
        In the step from ``older`` to ``x``.
    x, older, oldest : (m,) array
        Variables now, one and two steps before.

    Returns
    -------
    (m,) array
    """
    turn = (x - older) * (older - oldest)
    change = np.where(turn > 0, FASTER, np.where(turn < 0, SLOWER, 1.0))
    return np.clip(change * width, NARROWEST, WIDEST)
