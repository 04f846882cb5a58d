"""A pool of processes that outlives them: who dies is replaced, who stalls is killed.

A worker takes one task at a time and reports each part of it, so that it is known which part it
died of. ``concurrent.futures`` gives a broken pool up; this one names the part and goes on.
"""

import os
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context

RETRIES = 3  # of a part, after which it has failed
STALL = 900.0  # seconds without a word from a worker that has work
POLL = 0.5  # seconds


@dataclass
class _Worker:
    """A process, the pipe to it, the task it works at, and when it was last heard of."""

    process: object
    pipe: object
    task: list = field(default_factory=list)
    heard: float = 0.0


class Supervisor:
    """Processes that apply a function to the parts of tasks.

    Parameters
    ----------
    function : callable
        Of a part; importable, because processes are spawned.
    workers : int
    stall : float
        Seconds that a part may take.
    """

    def __init__(self, function, workers, stall=STALL):
        self.function, self.stall = function, stall
        self._context = get_context("spawn")
        self._workers = [self._hired() for _ in range(workers)]
        self.deaths = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    @property
    def pids(self):
        """Process numbers of the workers."""
        return [worker.process.pid for worker in self._workers]

    def run(self, tasks):
        """Work at tasks.

        Parameters
        ----------
        tasks : iterable of list
            Parts of each task; an empty one if there will be more, but not until others are done.

        Yields
        ------
        part, result, problem
            In the order in which they are done. ``problem`` is None, or says why there is no
            result.
        """
        waiting, attempts = deque(), {}
        tasks = iter(tasks)
        while True:
            for place, worker in enumerate(self._workers):
                if not worker.task and not worker.process.is_alive():
                    self._workers[place] = self._replaced(worker)
            for worker in self._workers:
                if not worker.task:
                    self._give(worker, waiting, tasks)
            busy = [worker for worker in self._workers if worker.task]
            if not busy:
                return
            ready = connection.wait([worker.pipe for worker in busy], POLL)
            for worker in busy:
                if worker.pipe in ready:
                    yield from self._heard(worker, waiting, attempts)
                elif time.monotonic() - worker.heard > self.stall:
                    os.kill(worker.process.pid, signal.SIGKILL)

    def _give(self, worker, waiting, tasks):
        """Hand over the next task, those that are retried first."""
        task = waiting.popleft() if waiting else next(tasks, None)
        if task:
            worker.task, worker.heard = list(task), time.monotonic()
            with suppress(BrokenPipeError, ConnectionResetError):  # dead: reading will tell
                worker.pipe.send(worker.task)

    def _heard(self, worker, waiting, attempts):
        """A result of the first part of its task, or its end."""
        try:
            result = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            yield from self._buried(worker, waiting, attempts)
            return
        worker.heard = time.monotonic()
        part = worker.task.pop(0)
        attempts.pop(id(part), None)  # another part may get the number
        yield part, result, None

    def _buried(self, worker, waiting, attempts):
        """Replace a dead worker; the part it died of is tried again, or has failed."""
        place = self._workers.index(worker)
        self._workers[place] = self._replaced(worker)
        code = worker.process.exitcode
        part, rest = worker.task[0], worker.task[1:]
        died = attempts.pop(id(part), 0) + 1
        if died < RETRIES:
            attempts[id(part)], rest = died, [part, *rest]
        if rest:
            waiting.append(rest)
        if died == RETRIES:
            why = f"signal {-code}" if code < 0 else f"exit code {code}"
            yield part, None, f"its process died {RETRIES} times ({why}), or took too long"

    def _replaced(self, worker):
        worker.process.join()
        worker.pipe.close()
        self.deaths += 1
        return self._hired()

    def _hired(self):
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self.function, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _work(function, pipe):
    """Take tasks and report each part, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        for part in task:
            pipe.send(function(part))
