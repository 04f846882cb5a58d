"""A map by a pool of processes, for independent items; a process that is killed is replaced."""

from contextlib import contextmanager
from functools import partial
from itertools import islice
from math import inf

from homog.errors import HomogError
from homog.supervision import Supervisor

AHEAD = 8  # tasks a worker whose results may wait for an earlier one
REMEDY = "use fewer workers, or a machine with more memory"


@contextmanager
def processes(function, workers, at_once=1):
    """Yield a map of a function that keeps the order, by processes if there are several workers.

    Parameters
    ----------
    function : callable
        Of an item; importable, because processes are spawned: a fork would copy threads in an
        undefined state. Repeated where a process was killed.
    workers : int
    at_once : int
        Items that a worker takes at once.

    Raises
    ------
    HomogError
        By the map, if an item has killed several processes; and what the function raises.
    """
    if workers == 1:
        yield partial(map, function)
        return
    with Supervisor(partial(_outcome, function), workers, stall=inf) as supervisor:
        yield partial(_ordered, supervisor, at_once, AHEAD * workers * at_once)


def _outcome(function, part):
    """Result of an item, and the error instead of it."""
    _, item = part
    try:
        return function(item), None
    except Exception as error:  # raised where the result is awaited
        return None, error


def _ordered(supervisor, at_once, ahead, items):
    """Results in the order of the items, of which few wait: they may be large."""
    early, following = {}, 0

    def tasks():
        numbered = enumerate(items)
        while task := list(islice(numbered, at_once)):
            while task[0][0] >= following + ahead:
                yield []  # not yet
            yield task

    for (number, _), outcome, problem in supervisor.run(tasks()):
        early[number] = outcome or (None, HomogError(f"{problem}; {REMEDY}"))
        while following in early:
            result, error = early.pop(following)
            if error:
                raise error
            following += 1
            yield result
