"""A pool of processes for independent tasks."""

from collections import deque
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal

AHEAD = 8  # tasks a worker that are handed over before their turn


@contextmanager
def processes(workers):
    """Yield a ``map`` that keeps the order, by a pool of processes if there are several workers.

    Processes are spawned: a fork would copy threads in an undefined state. They leave an
    interrupt to the process that started them.
    """
    if workers == 1:
        yield map
        return
    with get_context("spawn").Pool(workers, signal, (SIGINT, SIG_IGN)) as pool:
        yield partial(_ordered, pool, AHEAD * workers)


def _ordered(pool, ahead, function, items):
    """Results in the order of the items, of which few wait: they may be large."""
    waiting = deque()
    for item in items:
        waiting.append(pool.apply_async(function, (item,)))
        if len(waiting) > ahead:
            yield waiting.popleft().get()
    while waiting:
        yield waiting.popleft().get()
