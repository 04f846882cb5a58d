"""Robust design of unit cells in the latent space of a surrogate, and its rivals.

    >>> import design
    >>> task = design.Task((design.Goal("K"),), design.Cleaning(design.Range(0.299, 0.301)))
    >>> designs = design.run.design(design.Plan(task), "run")
    >>> designs.true("K")[0], designs.octants[0]

Needs the extra ``design``; names are imported when they are first used.
"""

from importlib import import_module

_HOME = {
    "Range": "cleaning",
    "Cleaning": "cleaning",
    "clean": "cleaning",
    "Goal": "problem",
    "Bound": "problem",
    "Task": "problem",
    "DesignProblem": "problem",
    "Settings": "search",
    "Search": "search",
    "Designs": "designs",
    "read_designs": "designs",
    "Plan": "plan",
}

__all__ = [*_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'design' has no attribute {name!r}")
    return getattr(import_module(f"design.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
