"""A pool of processes for independent tasks."""

from contextlib import contextmanager
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal


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
        yield pool.imap
