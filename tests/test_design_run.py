"""A design run: verified, exact after a crash at any stage, and better informed round by round."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from design import run as module
from design.cleaning import Cleaning, Range
from design.designs import read_designs
from design.output import differences, histories, optimum, sweep_table, table, write_output
from design.plan import Plan, clear, read_plan
from design.problem import Bound, Goal, Task
from design.run import design, label_settings, reverified
from design.search import Settings
from homog.dataset import Dataset
from homog.errors import DataError, ParameterError
from homog.homogenization import homogenize
from homog.material import Isotropic
from homog.units.family import unfold
from learn.surrogate import Surrogate

ROUNDS = 2


def make_plan(model, **options):
    task = Task((Goal("E"), Goal("nu")), Cleaning(Range(0.35, 0.55)), risk=2.0, samples=8)
    task = options.pop("task", task)
    search = options.pop("search", Settings(12, 4, 1))
    return Plan(
        task, search, **{"rounds": ROUNDS, "report": 4, "count": 30, "model": str(model)} | options
    )


@pytest.fixture(scope="module")
def plan(model):
    return make_plan(model)


class Killed(BaseException):
    pass


class Tell:
    """Remembers what is told; dies at a step if it is told to."""

    def __init__(self, dies=None):
        self.lines, self.steps, self.dies = [], [], dies

    @contextmanager
    def bar(self, label, total):
        def step(*found):
            self.steps.append(label)
            if self.dies is not None and len(self.steps) > self.dies:
                raise Killed

        yield step

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def done(plan, tmp_path_factory):
    """A finished run: its folder, designs and what it told."""
    folder, tell = tmp_path_factory.mktemp("design") / "run", Tell()
    designs = design(plan, folder, workers=1, tell=tell)
    write_output(folder, designs, plan.task)
    return folder, designs, tell


def test_designs_are_what_finite_elements_say(done):
    _, designs, _ = done
    solid = Isotropic(70e3, 0.33)
    for n, octant in enumerate(designs.octants):
        result = homogenize(unfold(octant), solid, tol=1e-5)
        assert designs.true("E")[n] == pytest.approx(result.E, rel=1e-3)
        assert designs.true("nu")[n] == pytest.approx(result.nu, abs=1e-3)


def test_scattered_labels_are_at_the_solid_that_the_hash_of_a_design_draws(done, model):
    """As for every dataset: labelling the designs again gives the same."""
    folder, designs, _ = done
    settings = label_settings(Surrogate.load(model))
    with Dataset(folder / "designs.h5") as units:
        solids = [settings.solid_of(digest) for digest in units.column("hash")]
        assert units.scattered["E_solid"].tolist() == [solid.E for solid in solids]
    result = homogenize(unfold(designs.octants[0]), solids[0], tol=1e-5)
    assert designs.groups["scattered"]["E"][0] == pytest.approx(result.E, rel=1e-3)


def test_designs_meet_what_was_asked(done):
    _, designs, _ = done
    assert np.all((designs.density >= 0.35) & (designs.density <= 0.55))
    assert np.all(designs.groups["verification"]["parts"] == 1)


def test_the_front_is_that_of_the_true_values(done, plan):
    _, designs, _ = done
    values = np.column_stack([designs.true("E"), designs.true("nu")])
    for n, on in enumerate(designs.front):
        beaten = np.any(np.all(values >= values[n], 1) & np.any(values > values[n], 1))
        assert on == (not beaten)
    assert np.all(np.diff(designs.true("E")) <= 0)


def test_the_second_round_knows_the_designs_of_the_first(done):
    _, designs, tell = done
    of = designs.groups["designs"]
    assert set(of["round"]) <= {1, 2}
    assert not of["known"][of["round"] == 1].any()
    folder = done[0]
    with Dataset(folder / "round-1" / "learned.h5") as units:
        labelled = {row.tobytes() for row in units.packed(slice(None))}
        assert len(labelled) >= 4
    second = read_designs(folder / "round-2" / "designs.h5")
    known = second.groups["designs"]["known"]
    others = [row.tobytes() not in labelled for row in second.cells.packed]
    assert not np.any(~known & ~np.array(others))
    assert sum("designs verified" in line for line in tell.lines) == ROUNDS


def test_results_are_a_dataset_as_any_other(done):
    folder, designs, _ = done
    with Dataset(folder / "designs.h5") as units:
        assert len(units) == len(designs)
        assert units.cubic
        assert np.array_equal(units.labels["E"], designs.true("E"))
        assert set(units.source) == {"designs"}
        assert units.group("designs")["z"].shape == (len(designs), 3)
    first = np.load(folder / "units" / "design-000.npy")
    assert np.array_equal(first, unfold(designs.octants[0]))
    rows = (folder / "front.csv").read_text().splitlines()
    assert len(rows) == len(designs) + 1
    for name in ("gallery", "front", "parity", "convergence"):
        assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_plan_again_does_nothing_anew(done, plan):
    folder, designs, _ = done
    tell = Tell()
    again = design(plan, folder, tell=tell)
    assert "generations" not in tell.steps
    assert np.array_equal(again.cells.packed, designs.cells.packed)
    assert read_plan(folder) == plan


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_run_that_dies_anywhere_ends_like_one_that_did_not(done, plan, tmp_path, share):
    _, designs, whole = done
    tell = Tell(int(share * (len(whole.steps) - 1)))
    with pytest.raises(Killed):
        design(plan, tmp_path / "run", tell=tell)
    again = design(read_plan(tmp_path / "run"), tmp_path / "run")
    assert np.array_equal(again.cells.packed, designs.cells.packed)
    assert np.array_equal(again.predicted("E"), designs.predicted("E"))
    assert np.array_equal(again.true("E"), designs.true("E"))


def test_a_folder_of_another_run_is_refused_and_can_be_cleared(done, plan, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    other = replace(plan, search=Settings(12, 4, 2))
    with pytest.raises(ParameterError, match="holds another run"):
        design(other, folder)
    clear(folder)
    assert not (folder / "designs.h5").exists()
    assert not list(folder.glob("round-*"))
    clear(tmp_path / "none")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ParameterError, match="no design run"):
        clear(tmp_path / "mine")


def test_when_nothing_is_feasible_it_says_what_is_nearest(model, tmp_path):
    task = Task(
        (Goal("E"),), Cleaning(Range(0.25, 0.35)), (Bound("nu", Range(low=5.0)),), samples=8
    )
    with pytest.raises(DataError, match=r"no feasible design after 2 generations.* nu 5: "):
        design(make_plan(model, task=task, search=Settings(8, 2)), tmp_path / "run")


def test_a_run_can_start_from_units_of_ones_own(model, labelled, tmp_path):
    task = Task((Goal("E"),), Cleaning(Range(0.2, 0.4)), samples=8)
    plan = make_plan(model, task=task, units=str(labelled), rounds=2, report=3)
    tell = Tell()
    designs = design(plan, tmp_path / "run", tell=tell)
    assert "units to start from" not in tell.steps
    assert not (tmp_path / "run" / "start.h5").exists()
    assert designs.true("E")[0] == np.nanmax(designs.true("E"))


def test_densities_without_units_to_start_from_are_refused(model, tmp_path):
    task = Task((Goal("E"),), Cleaning(Range(0.8, 0.9)))
    with pytest.raises(DataError, match="name a dataset with --units"):
        design(make_plan(model, task=task), tmp_path / "run")


def test_verifying_again_finds_the_same_and_tells_what_is_not(done, plan, tmp_path):
    folder, designs, _ = done
    found, again, wrong = reverified(folder)
    assert wrong == []
    assert [row["E"] for row in again] == pytest.approx(designs.true("E"), rel=1e-3)
    found.groups["labels"]["E"][0] *= 1.01
    assert len(differences(found, again)) == 1
    with pytest.raises(ParameterError, match="no designs yet"):
        reverified(tmp_path)


def test_only_the_last_round_takes_all_the_risk_into_account(plan, monkeypatch, tmp_path):
    risks = []

    class Recorder(module.DesignProblem):
        def __init__(self, surrogate, task):
            risks.append(task.risk)
            super().__init__(surrogate, task)

    monkeypatch.setattr(module, "DesignProblem", Recorder)
    design(plan, tmp_path / "run")
    assert risks[0] == 2.0  # checked before the work
    assert risks[1] == 1.0
    assert risks[-1] == 2.0


def test_tables_show_predicted_beside_true_values(done, plan):
    folder, designs, _ = done
    text = table(designs, plan.task)
    assert text.count("\n") == designs.front.sum()
    swept = sweep_table({0.5: designs, 5.0: designs}, plan.task).splitlines()
    assert len(swept) == 3
    n = optimum(designs)
    assert f"{designs.density[n]:.4f}" in swept[1]
    of = designs.groups["designs"]
    assert of["round"][n] == of["round"].max()
    assert [h.shape for h in histories(folder, plan.task)] == [(4, 2)] * ROUNDS


@pytest.mark.parametrize("name", ["rounds", "report", "count"])
def test_numbers_below_one_are_refused(model, name):
    with pytest.raises(ParameterError, match=f"{name} must be at least 1"):
        make_plan(model, **{name: 0})


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"format": "other", "version": 1}', '{"format": "homog design", "version": 9}'],
)
def test_descriptions_that_are_none_are_refused(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run\.json"):
        read_plan(tmp_path)
    with pytest.raises(ParameterError, match="no design run there"):
        read_plan(tmp_path / "none")
