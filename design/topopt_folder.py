"""The folder of a topology optimization: what is done, to go on from, and what came out."""

import io
import json
import shutil
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from design.topopt_model import COLUMNS, State
from homog import __version__, labels
from homog.dataset import Cells, pack, write_dataset
from homog.errors import DataError, ParameterError
from homog.files import make_folder, write_atomically
from homog.shards import locked

SETTINGS, HISTORY, DESIGNS = "settings.json", "history.csv", "designs.h5"
STATES, UNITS = "states", "units"


class Folder:
    """Keeps the states of the starts, each in a file that is whole or not there.

    Parameters
    ----------
    path : str or Path
    settings : Settings
    force : bool
        Whether to discard what the folder holds of another run, or of this one.

    Raises
    ------
    ParameterError
        If the folder cannot be made, or holds a run with other settings.
    DataError
        If its settings are damaged.
    """

    def __init__(self, path, settings, force=False):
        self.path, self.settings = Path(path), settings
        make_folder(self.path)
        if force:
            self._discard()
        record = {**settings.record(), "version": __version__}
        known = self.path / SETTINGS
        if known.exists():
            _check_same(self.path, _read(known), record)
        else:
            write_atomically(known, json.dumps(record, indent=1).encode())
        make_folder(self.path / STATES)

    @contextmanager
    def locked(self):
        """Keep other runs out of the folder."""
        with locked(self.path / STATES / "lock"):
            yield self

    def load(self, start):
        """State of a start, or None."""
        path = self._state(start)
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return State(**{f.name: stored[f.name] for f in fields(State)})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: damaged; remove it and repeat the command") from error

    def save(self, start, state):
        """Keep the state of a start."""
        stream = io.BytesIO()
        np.savez(stream, **{f.name: getattr(state, f.name) for f in fields(State)})
        write_atomically(self._state(start), stream.getbuffer())

    def write(self, designs):
        """Write designs, the best first: dataset with labels, history and whole cells.

        Parameters
        ----------
        designs : list of Design
        """
        write_atomically(self.path / HISTORY, _table(designs).encode())
        make_folder(self.path / UNITS)
        for place, design in enumerate(designs):
            stream = io.BytesIO()
            np.save(stream, design.voxels)
            write_atomically(self.path / UNITS / f"{place}-{design.start}.npy", stream.getbuffer())
        write_dataset(
            self.path / DESIGNS,
            _cells(designs, self.settings),
            _groups(designs, self.settings.labels),
        )

    def _state(self, start):
        return self.path / STATES / f"{self.settings.starts.index(start)}-{start}.npz"

    def _discard(self):
        """Remove what a run has written; nothing else in the folder is touched."""
        for name in (SETTINGS, HISTORY, DESIGNS):
            (self.path / name).unlink(missing_ok=True)
        for name in (STATES, UNITS):
            shutil.rmtree(self.path / name, ignore_errors=True)


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
    count = len(designs)
    columns = {
        "volume_fraction": np.array([d.volume_fraction for d in designs]),
        "smallest_feature": np.array([d.smallest_feature for d in designs], np.int16),
        "open_cell": np.array([d.open_cell for d in designs]),
        "family": np.arange(count, dtype=np.int32),
        "level": np.full(count, np.nan),
        "parameters": np.full((count, 1), np.nan),
    }
    families = [(str(d.start), "topopt", ()) for d in designs]
    origin = {"command": "topopt", **settings.record()}
    packed = np.array([pack(d.octant) for d in designs])
    return Cells(packed, (settings.resolution,) * 3, True, columns, families, origin)


def _groups(designs, settings):
    """Labels of designs as groups of a dataset."""
    attributes = {name: value for name, value in asdict(settings).items() if name != "cubic"}
    return {
        group: (
            attributes,
            {
                name: np.array([d.labels[group][name] for d in designs], dtype)
                for name, (dtype, _) in names.items()
            },
        )
        for group, names in labels.columns(settings).items()
    }
