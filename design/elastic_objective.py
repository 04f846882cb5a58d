"""What a topology optimization improves: a linear combination of elastic constants of a cell."""

import re
from dataclasses import dataclass

import numpy as np

from homog.errors import ParameterError
from homog.properties import cubic_constants, cubic_derivatives, nearest_cubic

STIFFNESS = ("C11", "C12", "C44")
NAMES = (*STIFFNESS, "K", "G", "E", "nu", "zener")
TERM = re.compile(r"([+-]?)(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\*)?([A-Za-z]\w*)")


@dataclass(frozen=True)
class ElasticObjective:
    """Sum of coefficients times constants of the cubic tensor nearest to C.

    Parameters
    ----------
    terms : tuple of (str, float)
        Names among ``NAMES``, with their coefficients. Moduli have the unit of the solid's E.

    Raises
    ------
    ParameterError
        If there is no term, a name is unknown, or all coefficients are 0 or one is not finite.
    """

    terms: tuple

    def __post_init__(self):
        for name, coefficient in self.terms:
            if name not in NAMES:
                raise ParameterError(f"no constant {name!r}; choose among {', '.join(NAMES)}")
            if not np.isfinite(coefficient):
                raise ParameterError(f"coefficient of {name} must be finite, got {coefficient:g}")
        if not any(coefficient for _, coefficient in self.terms):
            raise ParameterError("an objective needs a constant such as K, with a factor not 0")

    @classmethod
    def parse(cls, text):
        """The objective that a text such as ``"C11 + 2*C12 - 0.5*C44"`` means.

        Raises
        ------
        ParameterError
            If it is no such text.
        """
        compact = "".join(text.split())
        terms, place = [], 0
        while place < len(compact):
            match = TERM.match(compact, place)
            if not match or (terms and not match[1]):
                raise ParameterError(
                    f"cannot read {compact[place:]!r} of the objective {text!r}; write it such as "
                    "C11+2*C12-0.5*C44"
                )
            sign = -1.0 if match[1] == "-" else 1.0
            terms.append((match[3], sign * float(match[2] or 1)))
            place = match.end()
        return cls(tuple(terms))

    def __str__(self):
        text = "".join(f"{'-' if c < 0 else '+'}{_factor(abs(c))}{name}" for name, c in self.terms)
        return text.removeprefix("+")

    def value(self, C):
        """The combination for a stiffness, (6, 6) array in Voigt order; NaN where undefined."""
        cubic = nearest_cubic(C)
        constants = dict(zip(STIFFNESS, cubic, strict=True)) | cubic_constants(*cubic)
        return float(sum(coefficient * constants[name] for name, coefficient in self.terms))

    def weights(self, C):
        """Derivative of the combination by the entries of C, as weights of the energies.

        Parameters
        ----------
        C : (6, 6) array
            Voigt order 11, 22, 33, 23, 13, 12 with engineering shear.

        Returns
        -------
        (6, 6) array
            The combination changes by the sum of ``weights * dC``.
        """
        out = np.zeros((6, 6))
        for name, basis in zip(STIFFNESS, _basis(), strict=True):
            slopes = cubic_derivatives(C, basis) | {name: 1.0}
            slope = sum(coefficient * slopes.get(of, 0.0) for of, coefficient in self.terms)
            out += slope * basis / np.count_nonzero(basis)  # nearest_cubic takes their mean
        return out


def _factor(coefficient):
    return "" if coefficient == 1 else f"{coefficient:g}*"


def cubic_stiffness(C11, C12, C44):
    """Stiffness of a cubic cell as a (6, 6) array in Voigt order."""
    return np.tensordot((C11, C12, C44), _basis(), 1)


def _basis():
    """Tensors with C11, C12 or C44 = 1 and the others 0, (3, 6, 6) array."""
    basis = np.zeros((3, 6, 6))
    basis[0, range(3), range(3)] = 1
    basis[1, :3, :3] = 1 - np.eye(3)
    basis[2, range(3, 6), range(3, 6)] = 1
    return basis
