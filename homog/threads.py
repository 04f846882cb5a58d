"""Threads that share the rows of a kernel, or whole tasks; the split never changes a result."""

import os
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from operator import call
from threading import Event

from homog.errors import ParameterError


def available_threads():
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """A pool of threads for row kernels and tasks, used as a context manager.

    ``stopped`` is set when one of several tasks has failed: the others should raise.

    Parameters
    ----------
    threads : int, optional
        At least 1; all available processors if not given.

    Raises
    ------
    ParameterError
        If ``threads`` is less than 1.
    """

    def __init__(self, threads=None):
        threads = available_threads() if threads is None else threads
        if threads < 1:
            raise ParameterError(f"threads must be at least 1, got {threads}")
        self.threads = threads
        self.stopped = Event()
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._parts = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for part in self._parts:
            part.__exit__()
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def split(self, count):
        """Workers for tasks that run at once: ``count`` or fewer, which share the threads."""
        count = min(count, self.threads)
        if count == 1:
            return [self]
        shares = [self.threads // count + (n < self.threads % count) for n in range(count)]
        self._parts += (parts := [Workers(share) for share in shares])
        return parts

    def at_once(self, tasks):
        """Results of functions without arguments, in order; one thread calls them one by one."""
        if self._pool is None:
            return map(call, tasks)
        first, *others = tasks
        others = [self._pool.submit(task) for task in others]
        try:
            return [first(), *(other.result() for other in others)]
        except BaseException:
            self.stopped.set()
            wait(others)
            self.stopped.clear()
            raise

    def over_rows(self, kernel, rows, *arguments):
        """Run ``kernel(start, stop, *arguments)`` over ``range(rows)``, a slab a thread."""
        if self._pool is None:
            kernel(0, rows, *arguments)
            return
        bounds = [rows * slab // self.threads for slab in range(self.threads + 1)]
        slabs = [
            self._pool.submit(kernel, start, stop, *arguments) for start, stop in pairwise(bounds)
        ]
        for slab in slabs:
            slab.result()
