"""Surrogates of unit cells: a variational autoencoder and property predictors.

    >>> import homog, learn
    >>> surrogate = learn.Surrogate.load()
    >>> z = surrogate.encode(homog.Dataset("units.h5").octants[:10])
    >>> surrogate.predict_with_uncertainty(z)["E"].mean

Needs the extra ``learn``; names are imported when they are first used.
"""

from importlib import import_module

_HOME = {
    "Surrogate": "surrogate",
    "Prediction": "surrogate",
    "Evaluation": "evaluation",
    "slerp": "interpolation",
}

__all__ = [*_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'learn' has no attribute {name!r}")
    return getattr(import_module(f"learn.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
