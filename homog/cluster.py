"""Labelling on a cluster with Dask: one list of parts a task, a bounded number in flight.

A task whose worker dies is repeated by Dask; one that has killed three is split, so that only
the part that kills fails.
"""

from contextlib import contextmanager
from itertools import islice

from homog.errors import ParameterError

AHEAD = 2  # tasks a worker in flight


def dask_engine(address=None, workers=1):
    """Engine of ``labelling.label_dataset`` on a Dask cluster.

    Parameters
    ----------
    address : str, optional
        Of the scheduler, such as ``"tcp://host:8786"``; a cluster on this machine if not given.
    workers : int
        Processes of the cluster on this machine.

    Raises
    ------
    ParameterError
        If Dask is not installed or the scheduler cannot be reached.
    """

    def engine(function, tasks):
        with _client(address, workers) as client:
            yield from _run(client, function, iter(tasks))

    return engine


@contextmanager
def _client(address, workers):
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ParameterError("Dask is missing; pip install 'homog-toolkit[dask]'") from error
    if address is None:
        options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ParameterError(f"no Dask scheduler at {address}; start one first") from error
    with client:
        yield client


def _run(client, function, tasks):
    """Keep a bounded number of tasks in flight and yield their parts as they end."""
    from distributed import as_completed

    flight, parts_of = as_completed(), {}

    def submit(parts):
        future = client.submit(_all, function, parts, pure=False)
        parts_of[future] = parts
        flight.add(future)

    limit = AHEAD * max(1, sum(client.nthreads().values()))
    for parts in islice(tasks, limit):
        submit(parts)
    for future in flight:
        parts = parts_of.pop(future)
        if future.status == "finished":
            for part, result in zip(parts, future.result(), strict=True):
                yield part, result, None
        elif len(parts) == 1:
            yield parts[0], None, f"its process died: {type(future.exception()).__name__}"
        else:
            for part in parts:
                submit([part])
        following = next(tasks, None) if len(parts_of) < limit else None
        if following:
            submit(following)


def _all(function, parts):
    return [function(part) for part in parts]
