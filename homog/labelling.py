"""Labelling at scale: every unit of a dataset gets its labels, whatever happens on the way."""

import re
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from homog.dataset import Dataset, unpack, write_dataset
from homog.errors import DataError, HomogError, ParameterError, naming
from homog.labels import FAILED, empty_row, label
from homog.shards import Shards, locked
from homog.supervision import Supervisor
from homog.units.family import unfold

SHARD = 64  # units whose labels are written at once
TASK = 16  # units that a worker takes at once


@dataclass(frozen=True)
class Part:
    """A unit to label: its place in the dataset, its bits, and its hash."""

    row: int
    packed: np.ndarray
    digest: np.ndarray


@dataclass(frozen=True)
class Job:
    """Which part of a dataset a run labels: the ``index``-th of ``count``, from 0 on."""

    index: int = 0
    count: int = 1

    @classmethod
    def parsed(cls, text):
        """A job from text such as "0/20"; all of the dataset from None.

        Raises
        ------
        ParameterError
            If it is not such a text.
        """
        if text is None:
            return cls()
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not int(match[1]) < int(match[2]):
            raise ParameterError(f"array must be such as 0/20, the first less, got {text!r}")
        return cls(*map(int, match.groups()))


@dataclass(frozen=True)
class Outcome:
    """Units labelled by this run, those of them that failed, and those still without labels."""

    labelled: int
    failed: int
    missing: int

    def __str__(self):
        text = f"{self.labelled} units labelled"
        if self.failed:
            text += f", {self.failed} of them failed"
        if self.missing:
            text += f"; {self.missing} are still to be done, so that it is not written yet"
        return text


def label_dataset(path, output, settings, engine, job=Job(), force=False, progress=None):
    """Label the units of a dataset file; continues where an earlier run stopped.

    Parameters
    ----------
    path, output : str or Path
        Dataset without and with labels.
    settings : Settings
        With ``cubic`` as the dataset is.
    engine : callable
        Maps a function of a ``Part`` and an iterable of lists of parts to an iterator over
        ``part, labels, problem``, such as ``local(workers)``.
    job : Job
    force : bool
        Whether to discard shards of other units or settings.
    progress : callable, optional
        Called with a unit's labels, and before the first with the number of units to label.

    Returns
    -------
    Outcome
        If units are missing the output is not written yet: other jobs have to end first.

    Raises
    ------
    ParameterError
        If another run writes the same output, or shards are of other units or settings.
    """
    with Dataset(path) as dataset:
        shards = Shards(output, settings.key(dataset.column("hash")), settings)
        shards.folder.mkdir(exist_ok=True)
        with locked(shards.folder / f"lock.{job.index}.{job.count}"):
            shards.prepare(force)
            labelled, failed = _run(dataset, shards, settings, (engine, job), progress)
        return Outcome(labelled, failed, _merged(dataset, shards, output, settings))


def merge(path, output, settings):
    """Write the dataset with the labels of its shards, check it, and remove the shards.

    Raises
    ------
    DataError
        If units have no labels yet.
    """
    with Dataset(path) as dataset:
        shards = Shards(output, settings.key(dataset.column("hash")), settings)
        missing = _merged(dataset, shards, output, settings)
    if missing:
        raise DataError(
            f"{missing} of {len(dataset)} units have no labels yet; run homog label again to finish"
        )


def _merged(dataset, shards, output, settings):
    """Number of units without labels; if all have some, they are put together.

    Jobs that end at the same moment take turns: the first merges, and the others find it done.
    """
    with shards.merging():
        done = shards.done()
        if not done and _is_written(dataset, output, settings):
            return 0
        if len(done) == len(dataset):
            _write(dataset, shards, output, settings)
        return len(dataset) - len(done)


def _is_written(dataset, output, settings):
    """Whether the output holds the labels of these units by these settings."""
    try:
        with Dataset(output) as found:
            attributes = found.labels.attributes
            same_units = np.array_equal(found.column("hash"), dataset.column("hash"))
    except HomogError:  # no such file, or another one
        return False
    return same_units and attributes == settings.attributes


def _write(dataset, shards, output, settings):
    """The dataset with the labels of its shards, checked; the shards are removed."""
    with naming(dataset.path):
        cells = dataset.cells()
    collected = shards.collected(len(dataset))
    groups = {name: (settings.attributes, columns) for name, columns in collected.items()}
    write_dataset(output, cells, groups, partial(_check_written, collected))
    shards.remove()


def _check_written(collected, path):
    """The labels in a new file are those that were to be written."""
    with Dataset(path) as dataset:
        for group, names in collected.items():
            found = dataset.group(group)
            for name, column in names.items():
                if found[name].tobytes() != column.tobytes():
                    raise DataError(f"{group}/{name} was not written as it is; check the disk")


def _run(dataset, shards, settings, how, progress):
    """Label what this job has still to do; units labelled and failed."""
    engine, job = how
    done = shards.done()
    rows = [r for r in range(job.index, len(dataset), job.count) if r not in done]
    if progress:
        progress(len(rows))
    function = partial(label_part, dataset.stored_shape, settings)
    pending, failed = {}, 0
    try:
        for part, row, problem in engine(function, _tasks(dataset, rows)):
            if problem:
                row = empty_row(settings, FAILED, problem)
            pending[part.row] = row
            failed += int(row["labels"]["status"] != 0)
            if progress:
                progress(row)
            if len(pending) >= SHARD:
                _flush(shards, pending)
    finally:  # also when interrupted: what is done is kept
        if pending:
            _flush(shards, pending)
    return len(rows), failed


def _flush(shards, pending):
    rows = sorted(pending)
    shards.write(rows, [pending[row] for row in rows])
    pending.clear()


def _tasks(dataset, rows):
    """Lists of parts, in order."""
    hashes = dataset.column("hash")
    for start in range(0, len(rows), TASK):
        chunk = np.array(rows[start : start + TASK])
        with naming(dataset.path):
            packed = dataset.packed(chunk)
        yield [Part(int(r), p, hashes[r]) for r, p in zip(chunk, packed, strict=True)]


def label_part(shape, settings, part):
    """Labels of a part."""
    stored = unpack(part.packed, shape)
    voxels = unfold(stored) if settings.cubic else stored
    return label(voxels, part.digest, settings)


def local(workers):
    """Engine of processes on this machine."""

    def engine(function, tasks):
        with Supervisor(function, workers) as supervisor:
            yield from supervisor.run(tasks)

    return engine


def measured_rate(path, settings, count=12, seed=0):
    """Seconds that a unit takes on one core: mean over random units, after a warm-up.

    Returns
    -------
    float
    """
    with naming(path), Dataset(path) as dataset:
        part = dataset.sampled(count, seed)
        cells = list(zip(part.voxels, part.column("hash"), strict=True))
    label(*cells[0], settings)
    start = time.perf_counter()
    for voxels, digest in cells:
        label(voxels, digest, settings)
    return (time.perf_counter() - start) / len(cells)


def estimate(seconds, count, workers):
    """What labelling costs, as a table.

    Parameters
    ----------
    seconds : float
        Of a unit on one core.
    count : int
        Units of the dataset.
    workers : int

    Returns
    -------
    str
    """
    rows = [f"{1e3 * seconds:.0f} ms a unit and core, {workers} workers", ""]
    rows.append(f"{'units':>12}{'core hours':>14}{'wall time':>14}")
    for number in (count, 10**4, 10**5, 10**6, 10**7):
        total = number * seconds
        rows.append(f"{number:>12,}{total / 3600:>14.2f}{duration(total / workers):>14}")
    return "\n".join(rows)


def duration(seconds):
    """Hours and minutes, or seconds where there are few, or days where there are many."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds >= 48 * 3600:
        return f"{seconds / 86400:.1f} days"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
