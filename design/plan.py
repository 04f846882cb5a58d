"""What a design run does, and the folder that remembers it."""

import hashlib
import json
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from design.cleaning import Cleaning, Range
from design.problem import Bound, Goal, Task
from design.search import Settings
from homog import __version__
from homog.errors import DataError, ParameterError
from homog.files import write_atomically

DESCRIBED = "run.json"
FORMAT, VERSION = "homog design", 1
RESULT, LOCK = "designs.h5", "lock"
UNITS, LABELLED = "start.h5", "start-labelled.h5"
DECODED, LABELLED_DECODED = "decoded.h5", "decoded-labelled.h5"
CHECKPOINT, CORRECTION, HISTORY = "search.npz", "correction.npz", "history.csv"
MET, LEARNED = "met.h5", "learned.h5"  # the best designs that a search met, and with labels
TABLE, CELLS = "front.csv", "units"
PICTURES = ("gallery.png", "front.png", "parity.png", "convergence.png")
MADE = (RESULT, UNITS, LABELLED, DECODED, LABELLED_DECODED, TABLE, *PICTURES)
MADE_BY_ROUND = (CHECKPOINT, CORRECTION, HISTORY, MET, LEARNED, RESULT)


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Parameters
    ----------
    task : Task
    search : Settings
    rounds : int
        Searches, each with the surrogate corrected by the designs of those before.
    report : int
        Designs verified in a round, at most.
    model : str or None
        Folder of the surrogate; None for the one that comes with the package.
    units : str or None
        Dataset to start from; None to generate units of about the density asked for.
    count : int
        Units to start from.

    Raises
    ------
    ParameterError
        If a number is less than 1.
    """

    task: Task
    search: Settings = field(default_factory=Settings)
    rounds: int = 1
    report: int = 20
    model: str | None = None
    units: str | None = None
    count: int = 2000

    def __post_init__(self):
        for name in ("rounds", "report", "count"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} must be at least 1, got {getattr(self, name)}")

    def described(self):
        """As JSON takes it, and as it means the same in every working directory."""
        paths = {name: getattr(self, name) for name in ("model", "units")}
        absolute = {name: path and str(Path(path).resolve()) for name, path in paths.items()}
        return _finite(asdict(self) | absolute)

    @classmethod
    def parsed(cls, said):
        """The plan of what ``described`` gave."""
        task = said["task"]
        cleaning = Cleaning(**{**task["cleaning"], "density": _range(task["cleaning"]["density"])})
        goals = tuple(Goal(**goal) for goal in task["goals"])
        bounds = tuple(Bound(b["name"], _range(b["range"])) for b in task["bounds"])
        task = Task(**{**task, "goals": goals, "cleaning": cleaning, "bounds": bounds})
        return cls(**{**said, "task": task, "search": Settings(**said["search"])})


def _finite(value):
    """With None for infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and np.isinf(value) else value


def _range(said):
    """A range of its ends, None where one is open."""
    return Range(**{end: float(value) for end, value in said.items() if value is not None})


def begin(folder, plan, surrogate):
    """Note what a run does, or refuse a folder that holds something else.

    Raises
    ------
    ParameterError
        If it holds another run, or files of the same names that no run has written.
    DataError
        If what it says of its run is damaged.
    """
    path = folder / DESCRIBED
    if path.exists():
        if read_plan(folder).described() != plan.described():
            raise ParameterError(
                f"{folder}: holds another run; name another folder, or use --force to start again"
            )
        check_surrogate(folder, surrogate)
        return
    foreign = [name for name in MADE if (folder / name).exists()]
    if foreign:
        raise ParameterError(f"{folder}: holds {foreign[0]} of another origin; name another folder")
    said = {
        "format": FORMAT,
        "version": VERSION,
        "writer": f"homog {__version__}",
        "surrogate": identity(surrogate),
        "plan": plan.described(),
    }
    write_atomically(path, json.dumps(said, indent=1, allow_nan=False).encode())


def check_surrogate(folder, surrogate):
    """Refuse a surrogate that is not the one of the run in a folder.

    Raises
    ------
    ParameterError
    """
    if read_description(folder).get("surrogate") != identity(surrogate):
        raise ParameterError(
            f"{folder}: the run has another surrogate than is there now; put that one back, or "
            "start again with homog design --force"
        )


def identity(surrogate):
    """What tells a surrogate from another: a digest of its weights."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(surrogate.framework.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def read_description(folder):
    """What a folder says of its run.

    Raises
    ------
    ParameterError
        If it holds none.
    DataError
        If it is damaged or newer.
    """
    path = Path(folder) / DESCRIBED
    if not path.is_file():
        raise ParameterError(f"{folder}: no design run there; homog design -o makes one")
    with _undamaged(path):
        said = json.loads(path.read_text())
        if said["format"] != FORMAT:
            raise ValueError("not a run of homog design")
        version = int(said["version"])
    if version > VERSION:
        raise DataError(f"{path}: version {version}; update homog to read it")
    return said


def read_plan(folder):
    """Plan of the run in a folder; raises like ``read_description``."""
    said = read_description(folder)
    with _undamaged(Path(folder) / DESCRIBED):
        return Plan.parsed(said["plan"])


@contextmanager
def _undamaged(path):
    """Errors of what a damaged description leads to say what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); start again with homog design --force"
        ) from error


@contextmanager
def remade(path):
    """Errors about a file that a run made say how to get it back."""
    try:
        yield
    except DataError as error:
        text = str(error).removeprefix(f"{path}: ")
        raise DataError(f"{path}: {text}; remove it, and homog design makes it again") from error


def start_units(folder):
    """Dataset in the folder of a finished run that it started from, or None if it was elsewhere."""
    found = [Path(folder) / name for name in (LABELLED, UNITS)]
    return next((str(path.resolve()) for path in found if path.exists()), None)


def clear(folder):
    """Remove a run from a folder, so that another can begin; what else is in it stays.

    Raises
    ------
    ParameterError
        If the folder is not empty and holds no run.
    """
    folder = Path(folder)
    if not folder.is_dir() or {path.name for path in folder.iterdir()} <= {LOCK}:
        return
    if not (folder / DESCRIBED).exists():
        raise ParameterError(f"{folder}: not empty, and no design run; name another folder")
    for path in folder.glob("round-*"):
        if path.name.removeprefix("round-").isdigit():
            _remove(path, MADE_BY_ROUND)
            _remove_empty(path)
    _remove(folder / CELLS, ["design-[0-9]*.npy"])
    _remove_empty(folder / CELLS)
    _remove(folder, MADE)
    (folder / DESCRIBED).unlink()  # the last: who is interrupted can clear again


def _remove(folder, names):
    """Remove files, and what a crash left of them."""
    for name in names:
        for pattern in (name, f".{name}.????????"):
            for path in folder.glob(pattern):
                path.unlink()
        shutil.rmtree(folder / f"{name}.shards", ignore_errors=True)


def _remove_empty(folder):
    with suppress(OSError):  # holds something else, or is not there
        folder.rmdir()
