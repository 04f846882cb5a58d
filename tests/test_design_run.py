"""A design run: verified, exact after a crash at any stage, and better informed round by round."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toys

from design import run as module
from design.cleaning import Cleaning, Range
from design.designs import read_designs
from design.output import (
    differences,
    histories,
    optimum,
    sweep_table,
    table,
    verification_table,
    write_output,
)
from design.plan import Plan, begin, clear, read_plan, start_units
from design.problem import Bound, Goal, Task
from design.run import design, label_settings, reverified
from design.search import Settings
from design.start import bounds
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


def test_a_run_goes_on_after_an_update_and_from_another_folder(done, plan, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    rewrite(folder, lambda said: said.update(writer="homog 99.0"))
    monkeypatch.chdir(Path(plan.model).parent)
    relative = replace(plan, model="model")
    assert np.array_equal(design(relative, folder).cells.packed, done[1].cells.packed)
    assert read_plan(folder).model == plan.model


def test_labels_of_another_version_are_made_again(done, plan, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    (folder / "start-labelled.h5").unlink()
    shards = folder / "start-labelled.h5.shards"
    shards.mkdir()
    (shards / "0123456789abcdef-00000000-1-1.npz").touch()
    assert np.array_equal(design(plan, folder).cells.packed, done[1].cells.packed)
    assert not shards.exists()


def rewrite(folder, change):
    """Change what a folder says of its run."""
    said = json.loads((folder / "run.json").read_text())
    change(said)
    (folder / "run.json").write_text(json.dumps(said))


def test_another_surrogate_than_that_of_the_run_is_refused(done, plan, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    rewrite(folder, lambda said: said.update(surrogate="0123"))
    for go_on in (lambda: design(plan, folder), lambda: reverified(folder)):
        with pytest.raises(ParameterError, match="another surrogate"):
            go_on()


def test_what_a_folder_says_is_json_also_where_a_range_is_open(model, tmp_path):
    task = Task((Goal("E"),), Cleaning(Range(low=0.3)), (Bound("nu", Range(high=0.2)),))
    plan = make_plan(model, task=task)

    def refuse(text):
        raise AssertionError(text)

    begin(tmp_path, plan, Surrogate.load(model))
    json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert read_plan(tmp_path) == plan


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


def test_a_folder_of_another_run_is_refused(done, plan, tmp_path):
    other = replace(plan, search=Settings(12, 4, 2))
    with pytest.raises(ParameterError, match="holds another run"):
        design(other, done[0])
    (tmp_path / "designs.h5").touch()
    with pytest.raises(ParameterError, match=r"holds designs\.h5 of another origin"):
        design(plan, tmp_path)


def test_all_that_a_run_has_written_is_cleared_and_nothing_else(done, tmp_path):
    folder, before = tmp_path / "run", sorted(path.name for path in tmp_path.iterdir())
    shutil.copytree(done[0], folder)
    mine = [
        folder / name
        for name in ("thesis.tex", "units/mine.npy", "round-2/notes.txt", "round-table/plan.txt")
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (folder / "round-1" / ".search.npz.0a1b2c3d").touch()  # a crash leaves such
    (folder / "round-2" / "learned.h5.shards").mkdir()
    clear(folder)
    left = {path for path in folder.rglob("*") if not path.is_dir()}
    assert left == {*mine, folder / "lock"}
    assert not (folder / "round-1").exists()
    clear(tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "run"])


def test_a_folder_that_holds_no_run_is_not_cleared(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ParameterError, match="no design run"):
        clear(tmp_path)


OWN_FILES = (
    "start.h5", "start-labelled.h5", "decoded.h5", "decoded-labelled.h5", "round-1/search.npz",
    "round-1/designs.h5", "round-1/met.h5", "round-1/learned.h5", "round-2/correction.npz",
    "round-2/search.npz", "round-2/designs.h5",
)  # fmt: skip


@pytest.mark.parametrize("name", OWN_FILES)
def test_a_damaged_file_of_a_run_is_named_and_made_again_without_it(done, plan, tmp_path, name):
    """Or it is not looked at, because what followed from it is there."""
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    if name in ("decoded.h5", "round-1/met.h5"):
        design(plan, folder)
    else:
        with pytest.raises(DataError, match=rf"{name}: .*(again|damaged)"):
            design(plan, folder)
    (folder / name).unlink()
    again = design(plan, folder)
    assert (folder / name).exists()
    assert np.array_equal(again.cells.packed, done[1].cells.packed)
    assert np.array_equal(again.predicted("E"), done[1].predicted("E"))


def test_designs_of_something_else_are_refused(done, plan, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(done[0], folder)
    shutil.copy(folder / "start.h5", folder / "designs.h5")
    with pytest.raises(DataError, match=r"designs\.h5: a dataset, but not one that homog design"):
        reverified(folder)


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


@pytest.mark.parametrize(("risk", "said"), [(49.0, False), (50.0, True)])
def test_a_risk_that_takes_all_of_a_modulus_is_told(model, tmp_path, risk, said):
    """The solid scatters by 2 %, and every modulus with it."""
    task = Task((Goal("E"),), Cleaning(Range(0.35, 0.55)), risk=risk, samples=8)
    tell = Tell()
    design(make_plan(model, task=task, rounds=1), tmp_path / "run", tell=tell)
    assert ("a risk of 50 leaves nothing of E" in tell.lines[0]) == said


def test_of_units_without_labels_those_are_labelled_that_a_search_starts_from(model, tmp_path):
    path = toys.write_labelled(tmp_path / "units.h5", change=dict.clear)
    task = Task((Goal("E"),), Cleaning(Range(0.3, 0.4)), samples=8)
    plan = make_plan(model, task=task, units=str(path), count=10, report=2, search=Settings(8, 2))
    design(plan, tmp_path / "run")
    with Dataset(path) as units, Dataset(tmp_path / "run" / "start-labelled.h5") as labelled:
        away = task.cleaning.density.excess(units.volume_fraction)
        chosen = np.sort(np.argsort(away, kind="stable")[:10])
        assert np.array_equal(labelled.packed(slice(None)), units.packed(chosen))
    assert start_units(tmp_path / "run") == str(tmp_path / "run" / "start-labelled.h5")


def test_a_search_reaches_beyond_the_units_that_it_starts_from():
    z = np.array([[0.0, 5.0], [10.0, 5.0]])
    assert bounds(z).tolist() == [[-1.0, 2.0], [11.0, 8.0]]


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_can_start_from_very_few_units(model, tmp_path, count):
    plan = make_plan(model, count=count, rounds=1)
    designs = design(plan, tmp_path / "run")
    assert np.all((designs.density >= 0.35) & (designs.density <= 0.55))


def of_another_solid(groups):
    groups["labels"][0]["nu"] = 0.3


def without_poisson(groups):
    groups["labels"][1]["nu"] = np.full(toys.COUNT, np.nan)


@pytest.mark.parametrize(
    ("edge", "change", "message"),
    [
        (toys.EDGE, of_another_solid, "labels of another solid"),
        (toys.EDGE, without_poisson, "no unit has labels of all of E, nu"),
        (toys.EDGE + 1, None, "expected cubic cells of 16 voxels"),
    ],
)
def test_units_that_are_no_good_are_refused_before_anything_is_written(
    model, tmp_path, edge, change, message
):
    path = toys.write_labelled(tmp_path / "units.h5", edge=edge, change=change)
    with pytest.raises(DataError, match=rf"units\.h5: {message}"):
        design(make_plan(model, units=str(path)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_densities_without_units_to_start_from_are_refused(model, tmp_path):
    task = Task((Goal("E"),), Cleaning(Range(0.8, 0.9)))
    with pytest.raises(DataError, match="name a dataset with --units"):
        design(make_plan(model, task=task), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_where_density_is_the_only_goal_another_property_is_shown(model, tmp_path):
    """The surrogate of the tests predicts no K."""
    task = Task((Goal("density", maximize=False),), Cleaning(Range(0.35, 0.55)), samples=8)
    plan = make_plan(model, task=task, rounds=1)
    designs = design(plan, tmp_path / "run")
    assert designs.shown(task) == ["E"]
    write_output(tmp_path / "run", designs, task)
    assert (tmp_path / "run" / "parity.png").exists()
    _, again, _ = reverified(tmp_path / "run")
    assert "E, predicted" in verification_table(designs, again, task)


def test_verifying_again_finds_the_same_and_tells_what_is_not(done, plan, tmp_path):
    folder, designs, _ = done
    found, again, wrong = reverified(folder)
    assert wrong == []
    assert [row["E"] for row in again] == pytest.approx(designs.true("E"), rel=1e-3)
    found.groups["labels"]["E"][0] *= 1.01
    assert len(differences(found, again)) == 1
    with pytest.raises(ParameterError, match="no designs yet"):
        reverified(tmp_path)


def test_verifying_again_takes_the_scatter_of_the_run(done):
    """2 % as the surrogate has seen, not the usual 1 %: deviations are those of the first time."""
    folder, designs, _ = done
    _, again, _ = reverified(folder)
    assert designs.attributes["scatter"] == toys.SCATTER
    for part in ("linear", "sampled"):
        stated = designs.groups["verification"][f"E_{part}"]
        assert [row[f"E_{part}"] for row in again] == pytest.approx(stated, rel=1e-3)


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
    [
        "",
        "[]",
        "{}",
        '{"format": "other", "version": 1}',
        '{"format": "homog design", "version": 9}',
        '{"format": "homog design", "version": 1}',
        '{"format": "homog design", "version": 1, "plan": {"task": []}}',
        '{"format": "homog design", "version": 1, "plan": {"task": {"cleaning": 3}}}',
    ],
)
def test_descriptions_that_are_none_are_refused(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run\.json: (damaged .*--force|version 9; update)"):
        read_plan(tmp_path)
    with pytest.raises(ParameterError, match="no design run there"):
        read_plan(tmp_path / "none")
