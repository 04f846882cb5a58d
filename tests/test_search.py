"""NSGA-II: elitist, within bounds, exact after a crash; the archive keeps what differs."""

import numpy as np
import pytest

from design.archive import LEAST, Archive, nondominated, spread_out
from design.cleaning import CleanUnit
from design.problem import Evaluated, Goal, Task
from design.search import Search, Settings
from homog.errors import DataError, ParameterError

BOUNDS = np.array([[-2.0, -1.0, -3.0], [2.0, 1.0, 3.0]])
SETTINGS = Settings(population=20, generations=12, seed=3)


class Bowls:
    """Distances from two points, to be minimised where x > -1: the front lies between them."""

    constraints = ("x > -1",)
    task = Task((Goal("E", maximize=False), Goal("nu", maximize=False)))

    def evaluate(self, z):
        z = np.asarray(z, np.float32)
        F = np.column_stack([np.sum((z - side * 0.8) ** 2, axis=1) for side in (-1, 1)])
        units = [CleanUnit(self.octant(row), 0.5, 0.5, 0.0, 0, True) for row in z]
        return Evaluated(z, units, {}, F.astype(float), np.float64(-1 - z[:, :1]))

    def octant(self, row):
        """Random voxels for each box of the latent space, so that neighbours look alike."""
        rng = np.random.default_rng(np.int64(np.floor(4 * row) + 100))
        return rng.random((6, 6, 6)) < 0.5


@pytest.fixture
def search(tmp_path):
    def make(name="search.npz", settings=SETTINGS, problem=None):
        start = np.random.default_rng(0).uniform(*BOUNDS, (settings.population, 3))
        return Search(problem or Bowls(), settings, BOUNDS, start, tmp_path / name)

    return make


def finished(search):
    while not search.finished:
        search.step()
    return search


def test_the_front_is_found(search):
    done = finished(search(settings=Settings(40, 60, 0)))
    F = Bowls().evaluate(done.best()).F
    apart = np.sqrt(F).sum(axis=1)  # on the front: the distance of the two points
    assert np.median(apart) == pytest.approx(1.6 * np.sqrt(3), rel=0.01)
    assert F[:, 0].min() < 0.2
    assert F[:, 1].min() < 0.2


def test_the_best_values_never_get_worse(search):
    best = np.array([row["best"] for row in finished(search()).history])
    assert np.all(np.diff(best, axis=0) <= 0)
    assert np.any(np.diff(best, axis=0) < 0)


def test_latent_vectors_stay_within_their_bounds(search):
    z = finished(search()).best()
    assert np.all((z >= BOUNDS[0] - 1e-6) & (z <= BOUNDS[1] + 1e-6))


@pytest.mark.parametrize("broken", [1, 5, 11])
def test_a_search_that_was_interrupted_ends_like_one_that_was_not(search, broken):
    whole, first = finished(search("whole.npz")), search("part.npz")
    for _ in range(broken):
        first.step()
    again = search("part.npz")
    assert again.generation == broken
    finished(again)
    assert np.array_equal(whole.best(), again.best())
    assert whole.history == again.history
    assert whole.history_text() == again.history_text()


def test_seeds_lead_to_different_searches(search):
    first = finished(search("a.npz")).best()
    second = finished(search("b.npz", Settings(20, 12, seed=4))).best()
    assert not np.array_equal(first, second)


def test_only_feasible_designs_are_kept(search):
    done = finished(search())
    assert np.all(done.best()[:, 0] > -1)


def test_without_feasible_designs_the_population_is_there(search):
    class Impossible(Bowls):
        def evaluate(self, z):
            found = super().evaluate(z)
            return Evaluated(found.z, found.units, {}, found.F, found.G + 10)

    done = finished(search(settings=Settings(8, 3), problem=Impossible()))
    assert len(done.best()) == 8
    assert done.history[-1]["feasible"] == 0
    assert np.isnan(done.history[-1]["best"]).all()
    again = search(settings=Settings(8, 3), problem=Impossible())
    assert np.array_equal(done.best(), again.best())


def test_the_archive_holds_no_two_designs_that_are_alike(search):
    bits = finished(search()).archive.arrays[2]
    octants = np.unpackbits(bits, axis=1, count=216).astype(bool)
    for n, first in enumerate(octants):
        for second in octants[:n]:
            for turned in (second, second[::-1]):
                assert np.sum(first ^ turned) >= LEAST * np.sum(first | turned)


def test_the_archive_keeps_the_best_of_all(search):
    """Also those that a population has lost."""
    problem, archive, rng = Bowls(), Archive(10), np.random.default_rng(1)
    z = rng.uniform(*BOUNDS, (60, 3))
    for part in np.array_split(z, 6):
        archive.add(problem.evaluate(part))
    every = problem.evaluate(z)
    good = every.F[every.feasible]
    kept = archive.arrays[1]
    front = {tuple(row) for row in good[nondominated(good)]}
    assert len({tuple(row) for row in kept} & front) >= min(10, len(front)) - 2


def test_nothing_beats_what_is_not_dominated():
    F = np.array([[1, 2], [1, 2], [2, 1], [3, 3], [0, 5], [2, 2]])
    assert nondominated(F).tolist() == [0, 2, 4]
    rng = np.random.default_rng(2)
    F = rng.random((50, 3))
    beaten = [np.any(np.all(F <= row, axis=1) & np.any(F < row, axis=1)) for row in F]
    assert nondominated(F).tolist() == np.flatnonzero(~np.array(beaten)).tolist()


def test_places_are_spread_over_the_front():
    t = np.linspace(0, 1, 101)
    F = np.column_stack([t, 1 - t])
    assert sorted(spread_out(F, 5)) == [0, 25, 50, 75, 100]
    with_worse = np.concatenate([F + 1, F])
    assert set(spread_out(with_worse, 101)) == set(range(101, 202))
    assert spread_out(F[:0], 3) == []


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 damaged"])
def test_a_damaged_checkpoint_is_told(search, tmp_path, content):
    (tmp_path / "search.npz").write_bytes(content)
    with pytest.raises(DataError, match="remove it to start the search again"):
        search()


def test_a_checkpoint_of_another_latent_space_is_refused(search, tmp_path):
    search().step()
    with pytest.raises(DataError, match="of another search; remove it"):
        Search(Bowls(), SETTINGS, BOUNDS[:, :2], None, tmp_path / "search.npz")


@pytest.mark.parametrize("wrong", [(3, 5, 0), (10, 0, 0), (10, 5, -1)])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ParameterError, match="expected a population of 4 or more"):
        Settings(*wrong)
