"""Material of the solid phase."""

from dataclasses import dataclass
from math import isfinite

import numpy as np

from homog.errors import ParameterError


@dataclass(frozen=True)
class Isotropic:
    """Linear elastic isotropic solid.

    Parameters
    ----------
    E : float
        Young's modulus, > 0; every modulus of a result has its unit.
    nu : float
        Poisson's ratio, in (-1, 0.5).

    Raises
    ------
    ParameterError
        If ``E`` or ``nu`` leaves its range or is not finite.
    """

    E: float
    nu: float

    def __post_init__(self):
        for name in ("E", "nu"):
            try:
                value = float(getattr(self, name))
            except (TypeError, ValueError):
                raise ParameterError(
                    f"{name} must be a number, got {getattr(self, name)!r}"
                ) from None
            object.__setattr__(self, name, value)
        if not (self.E > 0 and isfinite(self.E)):
            raise ParameterError(f"E must be positive and finite, got {self.E:g}")
        if not -1 < self.nu < 0.5:  # also rejects NaN
            raise ParameterError(f"nu must lie between -1 and 0.5, both excluded, got {self.nu:g}")

    @property
    def K(self):
        """Bulk modulus, in the unit of ``E``."""
        return self.E / (3 * (1 - 2 * self.nu))

    @property
    def G(self):
        """Shear modulus, in the unit of ``E``."""
        return self.E / (2 * (1 + self.nu))

    @property
    def stiffness(self):
        """Stiffness as a (6, 6) array, Voigt order 11, 22, 33, 23, 13, 12, engineering shear."""
        C = np.zeros((6, 6))
        C[:3, :3] = self.K - 2 * self.G / 3
        C[np.diag_indices(6)] += [2 * self.G] * 3 + [self.G] * 3
        return C
