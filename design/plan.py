"""What a design run does, and the folder that remembers it."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
MADE = (RESULT, UNITS, LABELLED, DECODED, LABELLED_DECODED)


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
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def parsed(cls, said):
        """The plan of what ``described`` gave."""
        task = said["task"]
        cleaning = Cleaning(**{**task["cleaning"], "density": Range(**task["cleaning"]["density"])})
        goals = tuple(Goal(**goal) for goal in task["goals"])
        bounds = tuple(Bound(b["name"], Range(**b["range"])) for b in task["bounds"])
        task = Task(**{**task, "goals": goals, "cleaning": cleaning, "bounds": bounds})
        return cls(**{**said, "task": task, "search": Settings(**said["search"])})


def begin(folder, plan, surrogate):
    """Note what a run does, or refuse a folder that holds another."""
    path, said = folder / DESCRIBED, _description(plan, surrogate)
    if path.exists():
        if read_description(folder) != json.loads(json.dumps(said)):
            raise ParameterError(
                f"{folder}: holds another run; name another folder, or use --force to start again"
            )
        return
    write_atomically(path, json.dumps(said, indent=1).encode())


def _description(plan, surrogate):
    return {
        "format": FORMAT,
        "version": VERSION,
        "writer": f"homog {__version__}",
        "surrogate": identity(surrogate),
        "plan": plan.described(),
    }


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
    try:
        said = json.loads(path.read_text())
        if said["format"] != FORMAT:
            raise ValueError("not a run of homog design")
        if said["version"] > VERSION:
            raise ValueError(f"version {said['version']}; update homog to read it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
    return said


def read_plan(folder):
    """Plan of the run in a folder; raises like ``read_description``."""
    said = read_description(folder)
    try:
        return Plan.parsed(said["plan"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{Path(folder) / DESCRIBED}: damaged ({error})") from error


def start_units(folder):
    """Dataset that a finished run started from, with labels if it has some."""
    found = [Path(folder) / name for name in (LABELLED, UNITS)]
    return next(str(path.resolve()) for path in found if path.exists())


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
        shutil.rmtree(path)
    for path in folder.glob("*.shards"):
        shutil.rmtree(path)
    for name in (*MADE, DESCRIBED):
        (folder / name).unlink(missing_ok=True)
