"""NSGA-II in the latent space, generation by generation, with exact resume.

Randomness of a generation follows from the seed and its number, and a checkpoint holds the
population with its ranks: a search that goes on from it does what one without a break does.

Reference
---------
Deb, Pratap, Agarwal & Meyarivan (2002), IEEE Trans. Evol. Comput. 6, 182-197.
"""

from dataclasses import dataclass

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.termination import get_termination

from design.archive import Archive
from homog.errors import DataError, ParameterError
from homog.files import UNREADABLE, write_arrays

ARRAYS = ("X", "F", "G", "rank", "crowding")
ARCHIVE = ("archive z", "archive F", "archive bits")
LARGEST_CHECKPOINT = 2**28  # bytes


@dataclass(frozen=True)
class Settings:
    """How to search.

    Parameters
    ----------
    population, generations : int
        Designs at a time, at least 4, and how often they are replaced.
    seed : int
        Not negative.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    population: int = 100
    generations: int = 200
    seed: int = 0

    def __post_init__(self):
        if self.population < 4 or self.generations < 1 or self.seed < 0:
            raise ParameterError(
                "expected a population of 4 or more, 1 generation or more and a seed from 0, got "
                f"{self.population}, {self.generations} and {self.seed}"
            )


class Search:
    """A search under way.

    Parameters
    ----------
    problem : DesignProblem
    settings : Settings
    bounds : (2, latent) array
        Lowest and highest value along each latent dimension.
    start : (population, latent) array or None
        The first generation; None to go on with the checkpoint.
    checkpoint : Path
        File that holds the last generation; what is there already is gone on with.

    Raises
    ------
    DataError
        If the checkpoint is damaged.
    """

    def __init__(self, problem, settings, bounds, start, checkpoint):
        self.problem, self.settings, self.checkpoint = problem, settings, checkpoint
        self.history, self.archive = [], Archive(settings.population)
        described = _Described(problem, bounds)
        if start is None:
            start = np.repeat(bounds[:1], settings.population, axis=0)  # is replaced
        sampling = np.clip(np.float64(start), *bounds)
        self._nsga = NSGA2(pop_size=settings.population, sampling=sampling)
        endless = get_termination("n_gen", settings.generations + 1)
        self._nsga.setup(described, termination=endless, seed=settings.seed, verbose=False)
        if checkpoint.exists():
            self._restore()

    @property
    def generation(self):
        """Generations done; the first is that of the start."""
        return len(self.history)

    @property
    def finished(self):
        return self.generation >= self.settings.generations

    def step(self):
        """Search one generation on, and write the checkpoint.

        Returns
        -------
        dict
            ``feasible`` designs, designs on the ``front``, and the ``best`` robust value of each
            goal (NaN where nothing is feasible).
        """
        self._nsga.random_state = np.random.default_rng([self.settings.seed, self.generation])
        offspring = self._nsga.ask()
        found = self.problem.evaluate(offspring.get("X"))
        offspring.set("F", found.F, "G", found.G)
        for individual in offspring:
            individual.evaluated.update({"F", "G"})
        self._nsga.tell(infills=offspring)
        self.archive.add(found)
        self.history.append(self._summary())
        self._save()
        return self.history[-1]

    def best(self):
        """Latent vectors of the best designs, all different; of the population if none is feasible.

        Returns
        -------
        (k, latent) array
        """
        return self._nsga.pop.get("X") if self.archive.z is None else self.archive.z

    def history_text(self):
        """Feasible designs, designs on the front and best values of each generation, as CSV."""
        goals = ",".join(f"best {goal.name}" for goal in self.problem.task.goals)
        lines = [f"generation,feasible,front,{goals}"]
        for number, row in enumerate(self.history, 1):
            best = ",".join(f"{value:.6g}" for value in row["best"])
            lines.append(f"{number},{row['feasible']},{row['front']},{best}")
        return "\n".join(lines) + "\n"

    def _summary(self):
        population = self._nsga.pop
        feasible = (population.get("G") <= 0).all(axis=1)
        goals = self.problem.task.goals
        best = np.full(len(goals), np.nan)
        if feasible.any():
            signs = [-1 if goal.maximize else 1 for goal in goals]
            best = signs * population.get("F")[feasible].min(axis=0)
        front = feasible & (population.get("rank") == 0)
        return {"feasible": int(feasible.sum()), "front": int(front.sum()), "best": best.tolist()}

    def _save(self):
        population = self._nsga.pop
        arrays = {name: population.get(name).astype(float) for name in ARRAYS}
        rows = [[row["feasible"], row["front"], *row["best"]] for row in self.history]
        if self.archive.arrays:
            arrays |= dict(zip(ARCHIVE, self.archive.arrays, strict=True))
        write_arrays(self.checkpoint, {"history": np.array(rows, float), **arrays})

    def _restore(self):
        """Take up the generation of the checkpoint."""
        arrays, of = _read(self.checkpoint), self._nsga.problem
        columns = {"X": of.n_var, "F": of.n_obj, "G": of.n_ieq_constr, "history": 2 + of.n_obj}
        if any(arrays[name].shape[1:] != (count,) for name, count in columns.items()):
            raise DataError(f"{self.checkpoint}: of another search; remove it to start again")
        for feasible, front, *best in arrays["history"].tolist():
            self.history.append({"feasible": int(feasible), "front": int(front), "best": best})
        if ARCHIVE[0] in arrays:
            self.archive.arrays = tuple(arrays[name] for name in ARCHIVE)
        nsga = self._nsga
        nsga.ask()  # makes pymoo ready; the generation that it proposes is replaced
        population = Population.new("X", arrays["X"])
        population.set("F", arrays["F"], "G", arrays["G"])
        population.set("rank", arrays["rank"], "crowding", arrays["crowding"])
        for individual in population:
            individual.evaluated.update({"F", "G"})
        nsga.pop, nsga.is_initialized, nsga.n_iter = population, True, self.generation + 1


class _Described(Problem):
    """What pymoo has to know of a problem: it never evaluates it itself."""

    def __init__(self, problem, bounds):
        super().__init__(
            n_var=bounds.shape[1],
            n_obj=len(problem.task.goals),
            n_ieq_constr=len(problem.constraints),
            xl=np.float64(bounds[0]),
            xu=np.float64(bounds[1]),
        )


def _read(path):
    """Arrays of a checkpoint; nothing in it is executed."""
    try:
        if path.stat().st_size > LARGEST_CHECKPOINT:
            raise DataError(f"{path}: larger than any checkpoint; it is something else")
        with np.load(path, allow_pickle=False) as file:
            kept = ARCHIVE if ARCHIVE[0] in file else ()
            arrays = {name: file[name] for name in ("history", *ARRAYS, *kept)}
    except (*UNREADABLE, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); remove it to start the search again"
        ) from error
    return arrays
