"""A design run: start, search, verify, learn from what was verified, and search on.

All of it lies in one folder, and the same run goes on after a crash: a search from its last
generation, a round from the search that is finished.
"""

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from design import start
from design.consistency import MODULI
from design.designs import (
    PARTS,
    SOURCE,
    Designs,
    chosen_of,
    read_designs,
    verified_designs,
    write_designs,
)
from design.output import differences
from design.plan import (
    CHECKPOINT,
    CORRECTION,
    DECODED,
    HISTORY,
    LABELLED,
    LABELLED_DECODED,
    LEARNED,
    LOCK,
    MET,
    RESULT,
    UNITS,
    begin,
    check_surrogate,
    clear,
    read_plan,
    remade,
)
from design.problem import DesignProblem, nearest_to_feasible
from design.search import Search
from design.verification import Candidate, verified
from homog.dataset import Dataset, write_dataset
from homog.errors import DataError, ParameterError
from homog.files import make_folder, write_atomically
from homog.labelling import label_dataset, local
from homog.labels import Settings as LabelSettings
from homog.material import Isotropic
from homog.packing import packed_octants
from homog.processes import processes
from homog.shards import locked
from homog.units import sampling
from learn.kriging import Corrected, corrected, true_values
from learn.surrogate import Surrogate

EXPLORING = 1.0  # risk of all rounds but the last: they look for what is worth knowing


class Silent:
    """Tells nobody of progress; ``homog.design_commands`` has one that does."""

    @contextmanager
    def bar(self, label, total):
        """Yield a function to call for each of ``total`` steps, with what it has found."""
        yield lambda *found: None

    def say(self, text):
        """Tell a line."""


def design(plan, folder, workers=1, tell=None, force=False):
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
    force : bool
        Whether to remove the run that the folder holds, and start again.

    Returns
    -------
    Designs
        All that were verified, the best first.

    Raises
    ------
    ParameterError
        If the surrogate does not predict what is asked for, or the folder holds another run.
    DataError
        If a file is damaged, units are of another kind or their labels of another solid; or if no
        design is feasible: it says what comes nearest, and which bounds that fails.
    """
    folder = Path(folder)
    surrogate = Surrogate.load(plan.model)
    DesignProblem(surrogate, plan.task)  # refuses what the surrogate does not know
    start.check(surrogate, plan)
    make_folder(folder, parents=True)
    with locked(folder / LOCK):
        if force:
            clear(folder)
        begin(folder, plan, surrogate)
        return _Run(plan, folder, workers, tell or Silent(), surrogate).run()


class _Run:
    """A run under way."""

    def __init__(self, plan, folder, workers, tell, surrogate):
        self.plan, self.folder, self.workers, self.tell = plan, folder, workers, tell
        self.surrogate = surrogate
        self.settings = label_settings(surrogate)

    def run(self):
        self._say_if_nothing_is_left()
        rounds, best = [], None
        for number in range(1, self.plan.rounds + 1):
            folder = self.folder / f"round-{number}"
            make_folder(folder)
            labelled = self._labelled_before(rounds)
            surrogate = self._surrogate(number, labelled)
            problem = DesignProblem(surrogate, self._task(number))
            found, best = self._search(problem, folder, best)
            rounds.append(self._verify(problem, found, folder, number))
            self._report(rounds[-1], number)
        result = Designs.joined([_own(path) for path in rounds])
        result = result.ordered(self.plan.task)
        write_designs(self.folder / RESULT, result, self.plan.described())
        return result

    def _say_if_nothing_is_left(self):
        """A modulus scatters at least by as much as that of the solid."""
        task, scatter = self.plan.task, self.settings.scatter
        moduli = [goal.name for goal in task.goals if goal.maximize and goal.name in MODULI]
        if moduli and task.risk * scatter >= 1:
            self.tell.say(
                f"a risk of {task.risk:g} leaves nothing of {moduli[0]}, which scatters by "
                f"{100 * scatter:g} % or more as the solid does: stiff units count no better than "
                "soft ones"
            )

    def _task(self, number):
        """What a round looks for: all but the last explore, and risk less than the task says."""
        task = self.plan.task
        if number == self.plan.rounds:
            return task
        return replace(task, risk=min(task.risk, EXPLORING))

    def _labelled_before(self, rounds):
        """Datasets of labelled units that a round may learn from; none in the first."""
        if not rounds:
            return []
        learned = (self._labelled(p.with_name(MET), p.with_name(LEARNED)) for p in rounds)
        return [*self._known(), *learned]

    @cached_property
    def pool(self):
        """Latent vectors of units to start from."""
        path, density = self._units(), self.plan.task.cleaning.density
        return start.latent(self.surrogate, path, density, self.plan.count)

    def _units(self):
        """Dataset of units to start from: the one that is named, or generated ones."""
        if self.plan.units is not None:
            return Path(self.plan.units)
        path, count, seed = self.folder / UNITS, self.plan.count, self.plan.search.seed
        if not path.exists():
            aim = start.window(self.plan.task.cleaning.density)
            resolution = 2 * self.surrogate.architecture.octant
            of = sampling.Plan(count, seed, resolution, volume_fraction=aim)
            with self.tell.bar("units to start from", count) as step:
                start.generate(path, of, self.workers, step)
        return path

    def _surrogate(self, number, labelled):
        """The surrogate of a round, corrected by what is labelled."""
        if not labelled:
            return self.surrogate
        path = self.folder / f"round-{number}" / CORRECTION
        if not path.exists():
            self.tell.say(f"round {number}: correcting the surrogate")
            with Dataset(labelled[-1]) as units:
                density = np.median(units.volume_fraction)
            samples = self.plan.task.samples
            corrected(self.surrogate, labelled, density, samples).save(path)
        with remade(path):
            return Corrected.load(path, self.surrogate)

    def _known(self):
        """Labelled units to learn from beside designs: those of the start, and decoded ones.

        What decodes is rougher than any unit of a database, and the surrogate has seen none of it.
        """
        path, own = self._units(), self.folder / UNITS
        if not start.is_labelled(path):
            if not own.exists():  # of many only those are labelled that the search starts from
                start.copy(path, own, self.plan.task.cleaning.density, self.plan.count)
            path = self._labelled(own, self.folder / LABELLED)
        decoded = self.folder / DECODED
        if not decoded.exists():
            problem = DesignProblem(self.surrogate, self.plan.task)
            octants = start.decoded(problem, self.pool, self.plan.search.seed)
            if not len(octants):
                return [path]
            self._write(decoded, octants, "decoded")
        return [path, self._labelled(decoded, self.folder / LABELLED_DECODED)]

    def _write(self, path, octants, name):
        """Octants as a dataset without labels."""
        write_dataset(path, packed_octants(octants, [name] * len(octants), SOURCE, {}))

    def _labelled(self, path, labelled):
        """The dataset with labels."""
        if not labelled.exists():
            with remade(path), Dataset(path) as units:
                count = len(units)
            with self.tell.bar("labels", count) as step:

                def progress(row):
                    if not isinstance(row, int):
                        step()

                settings, engine = replace(self.settings, scatter=0.0), local(self.workers)
                label_dataset(path, labelled, settings, engine, force=True, progress=progress)
        with remade(labelled), Dataset(labelled) as units:
            true_values(self.surrogate, units)  # what is there already may be damaged
        return labelled

    def _search(self, problem, folder, before):
        """The best designs, and their latent vectors."""
        z = self.pool
        generations = self.plan.search.generations
        checkpoint = folder / CHECKPOINT
        first = None
        if not checkpoint.exists():
            first = start.population(problem, self.plan.search, z, before)
        search = Search(problem, self.plan.search, start.bounds(z), first, checkpoint)
        with self.tell.bar("generations", generations - search.generation) as step:
            while not search.finished:
                step(search.step())
        write_atomically(folder / HISTORY, search.history_text().encode())
        best = search.best()
        return problem.evaluate(best), best

    def _verify(self, problem, found, folder, number):
        """Dataset of the verified designs of a round."""
        if not found.feasible.any():
            index, failed = nearest_to_feasible(found, problem.constraints)
            raise DataError(
                f"no feasible design after {self.plan.search.generations} generations; the nearest "
                f"(density {found.units[index].density:.4f}) fails: {failed}; widen these bounds, "
                "lower --risk, or search longer"
            )
        path, met = folder / RESULT, folder / MET
        if not met.exists():
            self._write(met, found.octants, "design")
        if path.exists():
            return path
        chosen = chosen_of(found, self.plan.report)
        occupancy = problem.surrogate.decode(chosen.z)
        with self.tell.bar("designs verified", len(chosen.units)) as step:
            designs = verified_designs(chosen, occupancy, self.settings, self.workers, step)
        known = np.zeros(len(designs), bool)
        if isinstance(problem.surrogate, Corrected):
            known = problem.surrogate.places(designs.octants) >= 0
        if known.any():
            _predict_left_out(designs, np.flatnonzero(known), problem)
        designs.groups["designs"] |= {"round": np.full(len(known), number), "known": known}
        write_designs(path, designs, self.plan.described())
        return path

    def _report(self, path, number):
        designs = _own(path)
        new = np.count_nonzero(~designs.groups["designs"]["known"])
        gap = designs.gap(self.plan.task).items()
        errors = ", ".join(f"{name} {100 * value:.1f} %" for name, value in gap)
        text = f"round {number}: {len(designs)} designs verified, {new} of them new; "
        self.tell.say(f"{text}median error of their predictions: {errors or 'none'}")


def _own(path):
    """Designs of a file that the run itself has written."""
    with remade(path):
        return read_designs(path)


def _predict_left_out(designs, known, problem):
    """Predict designs that corrected the surrogate as if they had not."""
    truth = np.column_stack([designs.true(name)[known] for name in problem.surrogate.targets])
    found = problem.predict_left_out(designs.octants[known], truth)
    for name, prediction in found.items():
        for part in PARTS:
            designs.groups["predictions"][f"{name}_{part}"][known] = getattr(prediction, part)


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

    Raises
    ------
    ParameterError
        If the folder holds no designs, or the surrogate is not the one that they were found with.
    DataError
        If a file is damaged.
    """
    folder = Path(folder)
    if not (folder / RESULT).exists():
        raise ParameterError(
            f"{folder}: no designs yet; homog design --resume goes on with the run"
        )
    designs = _own(folder / RESULT)
    material = Isotropic(designs.attributes["E"], designs.attributes["nu"])
    occupancy, level = decoded(folder, designs), designs.cells.columns["level"]
    candidates = [Candidate(*of) for of in zip(designs.octants, occupancy, level, strict=True)]
    verify = partial(verified, material, designs.attributes["scatter"])
    again = []
    with processes(verify, workers) as map_designs:
        for found in map_designs(candidates):
            again.append(found)
            if progress:
                progress()
    return designs, again, differences(designs, again)


def decoded(folder, designs):
    """Occupancies that designs were cut from, from their latent vectors.

    The autoencoder is the same in all rounds: only predictions are corrected.
    """
    surrogate = Surrogate.load(read_plan(folder).model)
    check_surrogate(folder, surrogate)
    return surrogate.decode(designs.groups["designs"]["z"])


def label_settings(surrogate):
    """How designs are labelled: for the solid and the scatter that a surrogate was trained with."""
    origin = surrogate.origin
    return LabelSettings(
        origin["E"], origin["nu"], scatter=origin.get("scatter", 0.0), seed=1, tol=1e-5
    )
