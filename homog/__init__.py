"""Voxel finite-element homogenization of periodic metamaterial unit cells.

    >>> import numpy as np, homog
    >>> voxels = np.load("unit.npy")
    >>> result = homog.homogenize(voxels, homog.Isotropic(E=70e3, nu=0.33))
    >>> result.E, result.nu, result.C

Names are imported when they are first used, so that ``import homog`` costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "homogenize": "homogenization",
    "Homogenization": "homogenization",
    "Isotropic": "material",
    "hashin_shtrikman_upper": "bounds",
    "read_array": "formats",
    "Dataset": "dataset",
    "unit_cell": "units",
    "smallest_feature": "thickness",
    "HomogError": "errors",
    "ParameterError": "errors",
    "DataError": "errors",
    "ConvergenceError": "errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'homog' has no attribute {name!r}")
    return getattr(import_module(f"homog.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
