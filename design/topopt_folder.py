"""The folder of a topology optimization: what is done, to go on from, and what came out."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import numpy as np

from design.topopt_model import COLUMNS, State
from homog import __version__
from homog.dataset import write_dataset
from homog.errors import DataError, ParameterError
from homog.files import UNREADABLE, make_folder, write_array, write_arrays, write_atomically
from homog.labels import collected
from homog.packing import packed_octants
from homog.shards import locked

RECORD = "topopt.json"  # there before all others, removed after them
HISTORY, DESIGNS, STATES, UNITS, LOCK = "history.csv", "designs.h5", "states", "units", ".lock"


class Folder:
    """Keeps the states of the starts, each in a file that is whole or not there.

    A context manager that keeps other runs out.

    Parameters
    ----------
    path : str or Path
    settings : Settings
    force : bool
        Whether to discard what an optimization has written there before.

    Raises
    ------
    ParameterError
        On entering, if the folder cannot be made, another run writes there, or it holds files of
        another origin or of a run with other settings.
    DataError
        On entering, if the record of its settings is damaged.
    """

    def __init__(self, path, settings, force=False):
        self.path, self.settings, self.force = Path(path), settings, force

    def __enter__(self):
        make_folder(self.path)
        with ExitStack() as stack:
            stack.enter_context(locked(self.path / LOCK))
            self._claim()
            self._lock = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._lock.close()

    def _claim(self):
        """Note the settings in the folder, or see that they are the same."""
        known, record = self.path / RECORD, {**self.settings.record(), "version": __version__}
        if known.exists() and self.force:
            _discard(self.path)
        if known.exists():
            _check_same(self.path, _read(known), record)
        else:
            _check_empty(self.path)
            write_atomically(known, json.dumps(record, indent=1).encode())
        make_folder(self.path / STATES)

    def load(self, start):
        """State of a start, or None."""
        path = self._state(start)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return State(**{f.name: stored[f.name] for f in fields(State)})
        except UNREADABLE as error:
            raise DataError(f"{path}: damaged; remove it and repeat the command") from error

    def save(self, start, state):
        """Keep the state of a start."""
        arrays = {f.name: getattr(state, f.name) for f in fields(State)}
        write_arrays(self._state(start), arrays)

    def write(self, designs):
        """Write designs, the best first: dataset with labels, history and whole cells.

        Parameters
        ----------
        designs : list of Design
        """
        write_atomically(self.path / HISTORY, _table(designs).encode())
        make_folder(self.path / UNITS)
        for place, design in enumerate(designs):
            write_array(self.path / UNITS / f"{place}-{design.start}.npy", design.voxels)
        write_dataset(
            self.path / DESIGNS,
            _cells(designs, self.settings),
            collected([design.labels for design in designs], self.settings.labels),
        )

    def _state(self, start):
        return self.path / STATES / f"{self.settings.starts.index(start)}-{start}.npz"


def _discard(folder):
    """Remove what an optimization has written; nothing else in the folder is touched."""
    for name in (STATES, UNITS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (HISTORY, DESIGNS, RECORD):
        (folder / name).unlink(missing_ok=True)


def _check_empty(folder):
    """Refuse to write over files that no optimization has written."""
    for name in (STATES, UNITS, HISTORY, DESIGNS):
        if (folder / name).exists():
            raise ParameterError(
                f"{folder} holds {name} of another origin; name another folder, which is made"
            )


def _read(path):
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); start again with --force") from error
    return content


def _check_same(folder, known, record):
    """Refuse to go on with other settings than the folder's."""
    record = json.loads(json.dumps(record))
    other = [name for name in record if known.get(name) != record[name]]
    if other:
        name = other[0]
        raise ParameterError(
            f"{folder} holds a run with {name} {known.get(name)}, not {record[name]}; name another "
            "folder, repeat the command that made it, or start again with --force"
        )


def _table(designs):
    """Iterations of all starts as lines of comma-separated values."""
    lines = [",".join((COLUMNS[0], "start", *COLUMNS[1:]))]
    for design in designs:
        for number, *values in design.history:
            lines.append(f"{number:.0f},{design.start}," + ",".join(f"{v:.10g}" for v in values))
    return "\n".join(lines) + "\n"


def _cells(designs, settings):
    """Designs as they are stored in a dataset."""
    octants, names = np.array([d.octant for d in designs]), [str(d.start) for d in designs]
    return packed_octants(octants, names, "topopt", {"command": "topopt", **settings.record()})
