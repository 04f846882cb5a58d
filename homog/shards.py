"""Shards: finished labels on the disk, each file whole or not there.

A shard holds the labels of some units. Its name begins with the key of all that labels depend on,
so that labels of other cells or settings are noticed and never mixed in. What is done is what the
shards hold; there is no other record that could disagree with them.
"""

import fcntl
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from homog.errors import DataError, ParameterError
from homog.files import UNREADABLE, write_arrays
from homog.labels import columns


class Shards:
    """The folder of the shards of an output file.

    Parameters
    ----------
    output : str or Path
        The dataset file that they will become.
    key : str
        Of their labels, see ``Settings.key``.
    settings : Settings
    """

    def __init__(self, output, key, settings):
        self.folder = Path(f"{output}.shards")
        self.key = key
        self.columns = columns(settings)

    def prepare(self, discard=False):
        """Refuse shards of other cells or settings, or remove them.

        Raises
        ------
        ParameterError
            If there are some.
        """
        foreign = [path for path in self._files("*") if not path.name.startswith(self.key)]
        if foreign and not discard:
            raise ParameterError(
                f"{self.folder} holds labels of other units, settings or versions; repeat the "
                "command that made them, or start again with --force"
            )
        for path in foreign:
            path.unlink()

    def write(self, rows, labels):
        """Store the labels of units.

        Parameters
        ----------
        rows : list of int
            Places of the units in the dataset.
        labels : list of dict
            As ``labels.label`` gives them.
        """
        arrays = {"rows": np.array(rows, np.int64)}
        for group, names in self.columns.items():
            for name, (dtype, _) in names.items():
                values = [label[group][name] for label in labels]
                arrays[f"{group}.{name}"] = np.array(values, dtype)
        name = f"{self.key}-{min(rows):08d}-{len(rows)}-{os.getpid()}.npz"
        write_arrays(self.folder / name, arrays)

    def done(self):
        """Places of the units that have labels, a set of int."""
        return {int(row) for path in self._files(f"{self.key}*") for row in _rows(path)}

    def collected(self, count):
        """Columns of all units, none of which may be missing.

        Parameters
        ----------
        count : int
            Units of the dataset.

        Returns
        -------
        dict
            ``{group: {name: (count, ...) array}}``
        """
        out = {
            group: {name: np.zeros((count, *shape), dtype) for name, (dtype, shape) in of.items()}
            for group, of in self.columns.items()
        }
        for path in sorted(self._files(f"{self.key}*")):
            with np.load(path, allow_pickle=False) as shard:
                rows = shard["rows"]
                for group, names in out.items():
                    for name, column in names.items():
                        column[rows] = shard[f"{group}.{name}"]
        return out

    @contextmanager
    def merging(self):
        """Wait until no other run merges, and keep others from it."""
        with ExitStack() as stack:
            with suppress(FileNotFoundError):  # no folder: another run has merged, or none began
                stack.enter_context(locked(self.folder / "lock.merge", wait=True))
            yield

    def remove(self):
        """Remove the folder and all in it."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # NFS keeps what a run that waits has open
            self.folder.rmdir()

    def _files(self, pattern):
        return self.folder.glob(f"{pattern}.npz")


def _rows(path):
    """Places of the units of a shard."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            return shard["rows"]
    except UNREADABLE as error:
        raise DataError(f"{path}: damaged shard; remove it and run homog label again") from error


@contextmanager
def locked(path, wait=False):
    """Hold a lock while a run writes; the system lets go of it when a process dies.

    Parameters
    ----------
    path : str or Path
    wait : bool
        For another process that holds it.

    Raises
    ------
    ParameterError
        If another process holds it and is not waited for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ParameterError(
                f"another run is writing this output ({path}); wait for it or stop it"
            ) from error
        yield
    finally:
        os.close(descriptor)
