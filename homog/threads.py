"""Threads that share the rows of a kernel; the split never changes a result."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from homog.errors import ParameterError


def available_threads():
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """A pool of threads for row kernels, used as a context manager.

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
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

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
