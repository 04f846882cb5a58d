"""A design run: start, search, verify, learn from what was verified, and search on.

All of it lies in one folder, and the same run goes on after a crash: a search from its last
generation, a round from the search that is finished.
"""

import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from design import start
from design.cleaning import Cleaning, Range
from design.designs import Designs, chosen_of, read_designs, verified_designs, write_designs
from design.output import differences
from design.problem import Bound, DesignProblem, Goal, Task, nearest_to_feasible
from design.search import Search, Settings
from design.verification import Candidate, verified
from homog import __version__
from homog.errors import DataError, ParameterError
from homog.files import make_folder, write_atomically
from homog.labelling import label_dataset, local
from homog.labels import Settings as LabelSettings
from homog.material import Isotropic
from homog.processes import processes
from homog.shards import locked
from learn.surrogate import DESCRIPTION, Surrogate

DESCRIBED, CHECKPOINT, RESULT, MODEL = "run.json", "search.npz", "designs.h5", "model"
FORMAT, VERSION = "homog design", 1


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Parameters
    ----------
    task : Task
    search : Settings
    rounds : int
        Searches, each after an update of the surrogate by the designs verified before.
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


class Silent:
    """Tells nobody of progress; ``homog.design_commands`` has one that does."""

    @contextmanager
    def bar(self, label, total):
        """Yield a function to call for each of ``total`` steps, with what it has found."""
        yield lambda *found: None

    def say(self, text):
        """Tell a line."""


def design(plan, folder, workers=1, tell=None):
    """Run a design, or go on with it.

    Parameters
    ----------
    plan : Plan
    folder : str or Path
        Made if it is not there; it may hold the same run, which goes on.
    workers : int
        Processes to label and verify with; results do not depend on it.
    tell : object, optional
        Like ``Silent``.

    Returns
    -------
    Designs
        All that were verified, the best first.

    Raises
    ------
    ParameterError
        If the folder holds another run.
    DataError
        If no design is feasible: it says what comes nearest, and which bounds that fails.
    """
    folder = Path(folder)
    surrogate = Surrogate.load(plan.model)
    DesignProblem(surrogate, plan.task)  # refuses what the surrogate does not know
    make_folder(folder, parents=True)
    with locked(folder / "lock"):
        begin(folder, plan, surrogate)
        return _Run(plan, folder, workers, tell or Silent(), surrogate).run()


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
        "surrogate": surrogate.origin,
        "plan": plan.described(),
    }


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


class _Run:
    """A run under way."""

    def __init__(self, plan, folder, workers, tell, surrogate):
        self.plan, self.folder, self.workers, self.tell = plan, folder, workers, tell
        self.surrogate = surrogate
        self.settings = label_settings(surrogate)

    def run(self):
        rounds, population = [], None
        pool = self._pool()
        for number in range(1, self.plan.rounds + 1):
            folder = self.folder / f"round-{number}"
            make_folder(folder)
            surrogate = self._surrogate(number, rounds)
            problem = DesignProblem(surrogate, self.plan.task)
            found, population = self._search(problem, folder, pool, population)
            rounds.append(self._verify(problem, found, folder, number))
            self._report(rounds[-1], number)
        result = Designs.joined([read_designs(path) for path in rounds])
        result = result.ordered(self.plan.task)
        write_designs(self.folder / RESULT, result, self.plan.described())
        return result

    def _pool(self):
        """Latent vectors of units to start from."""
        path = self._units_path()
        density = self.plan.task.cleaning.density
        if self.plan.units is None and not path.exists():
            aim = start.window(density)
            with self.tell.bar("units to start from", self.plan.count) as step:
                start.generate(path, aim, self.plan, self.workers, step)
        return start.latent(self.surrogate, path, density, self.plan.count)

    def _surrogate(self, number, rounds):
        """The surrogate of a round: updated by the designs of the rounds before."""
        if number == 1:
            return self.surrogate
        model = self.folder / f"round-{number}" / MODEL
        if not (model / DESCRIPTION).exists():
            from learn.train import Devices
            from learn.update import updated

            known = self._known()
            self.tell.say(f"round {number}: updating the surrogate")
            fabric = Devices(precision="32-true").launch()
            updated(Surrogate.load(self.plan.model), known, rounds, model, fabric)
        return Surrogate.load(model)

    def _known(self):
        """Labelled units to learn from beside the designs: those of the start."""
        path = self._units_path()
        if start.is_labelled(path):
            return path
        labelled = self.folder / start.LABELLED
        if not labelled.exists():
            with self.tell.bar("labels", self.plan.count) as step:

                def progress(row):
                    if not isinstance(row, int):
                        step()

                engine = local(self.workers)
                label_dataset(path, labelled, self.settings, engine, progress=progress)
        return labelled

    def _units_path(self):
        return self.folder / start.UNITS if self.plan.units is None else Path(self.plan.units)

    def _search(self, problem, folder, z, population):
        """The designs of the last generation, and their latent vectors."""
        generations = self.plan.search.generations
        checkpoint = folder / CHECKPOINT
        first = None
        if not checkpoint.exists():
            first = start.population(problem, self.plan.search, z, population)
        search = Search(problem, self.plan.search, start.bounds(z), first, checkpoint)
        with self.tell.bar("generations", generations - search.generation) as step:
            while not search.finished:
                step(search.step())
        write_atomically(folder / "history.csv", search.history_text().encode())
        last = search.latent()
        return problem.evaluate(last), last

    def _verify(self, problem, found, folder, number):
        """Dataset of the verified designs of a round."""
        path = folder / RESULT
        if path.exists():
            return path
        if not found.feasible.any():
            index, failed = nearest_to_feasible(found, problem.constraints)
            raise DataError(
                f"no feasible design after {self.plan.search.generations} generations; the nearest "
                f"(density {found.units[index].density:.4f}) fails: {failed}; widen these bounds, "
                "lower --risk, or search longer"
            )
        chosen = chosen_of(found, self.plan.report)
        occupancy = problem.surrogate.decode(chosen.z)
        with self.tell.bar("designs verified", len(chosen.units)) as step:
            designs = verified_designs(chosen, occupancy, number, self.settings, self.workers, step)
        write_designs(path, designs, self.plan.described())
        return path

    def _report(self, path, number):
        gap = read_designs(path).gap(self.plan.task)
        text = ", ".join(f"{name} {100 * value:.1f} %" for name, value in gap.items())
        self.tell.say(f"round {number}: predicted against true, median: {text}")


def clear(folder):
    """Remove a run from a folder, so that another can begin; what else is in it stays.

    Raises
    ------
    ParameterError
        If the folder is not empty and holds no run.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / DESCRIBED).exists():
        raise ParameterError(f"{folder}: not empty, and no design run; name another folder")
    for path in folder.glob("round-*"):
        shutil.rmtree(path)
    shutil.rmtree(folder / f"{start.LABELLED}.shards", ignore_errors=True)
    for name in (RESULT, start.UNITS, start.LABELLED, DESCRIBED):
        (folder / name).unlink(missing_ok=True)


def reverified(folder, workers=1, progress=None):
    """Verify the designs of a run again.

    Returns
    -------
    Designs
        As the file has them.
    again : list of dict
        What finite elements say now, see ``design.verification``.
    wrong : list of str
        Where the two differ.
    """
    folder = Path(folder)
    if not (folder / RESULT).exists():
        raise ParameterError("no designs yet; homog design --resume goes on with the run")
    designs = read_designs(folder / RESULT)
    material, scatter = Isotropic(designs.attributes["E"], designs.attributes["nu"]), 0.01
    occupancy = decoded(folder, designs)
    candidates = [Candidate(*pair) for pair in zip(designs.octants, occupancy, strict=True)]
    again = []
    with processes(partial(verified, material, scatter), workers) as map_designs:
        for found in map_designs(candidates):
            again.append(found)
            if progress:
                progress()
    return designs, again, differences(designs, again)


def decoded(folder, designs):
    """Occupancies that designs were cut from, each decoded by the surrogate of its round.

    The autoencoder is the same in all rounds: only the predictor is updated.
    """
    surrogate = Surrogate.load(read_plan(folder).model)
    return surrogate.decode(designs.groups["designs"]["z"])


def label_settings(surrogate):
    """How designs are labelled: for the solid and the scatter that a surrogate was trained with."""
    origin = surrogate.origin
    return LabelSettings(
        origin["E"], origin["nu"], scatter=origin.get("scatter", 0.0), seed=1, tol=1e-5
    )
