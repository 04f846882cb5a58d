"""The report: its numbers are those of the run, and nothing in a stranger's file can run in it."""

import base64
import csv
import hashlib
import json
import re
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import assert_refused
from runs import finished_run, small_plan
from test_topopt import small

from design.cleaning import Cleaning, Range
from design.designs import read_designs, write_designs
from design.plan import LABELLED
from design.problem import Bound, Goal, Task
from design.report import reliability, write_report
from design.report.content import content, failures
from design.report.page import page
from design.report.provenance import design_command
from design.report.units import problems, rival_shown, start_shown
from design.search import Settings
from design.topopt import optimize
from design.topopt_folder import Folder
from homog import DataError, ParameterError
from homog.cli import cli
from homog.dataset import Dataset, pack, unpack, write_dataset
from homog.design_commands import design_plan
from learn.calibration import PROBABILITIES, Calibration
from learn.metrics import LEVELS

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028"


@pytest.fixture(scope="module")
def run_folder(model, tmp_path_factory):
    return finished_run(model, tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def designs(run_folder):
    return read_designs(run_folder / "designs.h5")


@pytest.fixture(scope="module")
def rival(tmp_path_factory):
    """A folder of homog topopt."""
    folder = tmp_path_factory.mktemp("rival") / "to"
    settings = small(E=70e3, nu=0.33)
    with Folder(folder, settings) as kept:
        kept.write(optimize(settings, kept))
    return folder


@pytest.fixture(scope="module")
def shown(run_folder, rival):
    return content(run_folder, [rival])


@pytest.fixture
def copy(run_folder, tmp_path):
    """A run that a test may spoil."""
    return shutil.copytree(run_folder, tmp_path / "run")


def of_kind(shown, kind):
    return [unit for unit in shown["units"] if unit["kind"] == kind]


def data_of(text):
    """What the program of a page reads."""
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def read(text):
    """A number as a page has it."""
    value = float(text)
    return value if np.isfinite(value) else None


def octant_of(unit):
    bits = np.frombuffer(base64.b64decode(unit["octant"]), np.uint8)
    return unpack(bits, (unit["edge"] // 2,) * 3)


# numbers


def test_numbers_are_those_of_the_run(shown, run_folder):
    rows = list(csv.DictReader((run_folder / "front.csv").open()))
    units = of_kind(shown, "design")
    assert len(units) == len(rows) > 0
    for unit, row in zip(units, rows, strict=True):
        for name in ("E", "G", "nu", "K", "zener"):
            assert unit["values"][name] == read(row[f"labels.{name}"])
            assert unit["fine"][name] == read(row[f"verification.{name}_fine"])
            assert unit["sampled"][name] == read(row[f"verification.{name}_sampled"])
        for name in ("E", "nu"):
            for part in ("mean", "aleatoric", "epistemic", "total"):
                assert unit["predicted"][name][part] == float(row[f"predictions.{name}_{part}"])
        ratio = float(row["labels.K"]) / float(row["labels.K_upper"])
        assert unit["values"]["K_ratio"] == pytest.approx(ratio, rel=1e-5)
        assert unit["values"]["density"] == float(row["density"])
        assert unit["front"] == bool(int(row["designs.front"]))
        assert unit["feature"] == int(row["verification.smallest_feature"])
        assert unit["open_cell"] == bool(int(row["verification.open_cell"]))


def test_the_table_of_the_designs_is_that_of_the_run(shown, run_folder):
    assert shown["tables"]["design"] == (run_folder / "front.csv").read_text()


def test_octants_are_those_of_the_run(shown, designs):
    for unit, octant in zip(of_kind(shown, "design"), designs.octants, strict=True):
        assert np.array_equal(octant_of(unit), octant)


def test_convergence_is_that_of_the_searches(shown, run_folder):
    assert len(shown["convergence"]) == 2
    for number, found in enumerate(shown["convergence"], 1):
        text = (run_folder / f"round-{number}" / "history.csv").read_text()
        rows = list(csv.DictReader(text.splitlines()))
        for name in ("E", "nu"):
            assert found[name] == [read(row[f"best {name}"]) for row in rows]


def test_rounds_have_their_designs_and_errors(shown, designs):
    rounds = designs.groups["designs"]["round"]
    for row in shown["rounds"]:
        mine = designs.select(np.flatnonzero(rounds == row["round"]))
        assert row["designs"] == len(mine)
        assert row["new"] == np.count_nonzero(~mine.groups["designs"]["known"])
        error = np.median(np.abs(mine.predicted("E") / mine.true("E") - 1))
        assert row["errors"]["E"] == pytest.approx(error, rel=1e-4)


# units of others


def test_units_of_the_start_are_the_best_that_meet_the_task(shown, run_folder):
    with Dataset(run_folder / LABELLED) as units:
        E, nu, density = units.labels["E"], units.labels["nu"], units.volume_fraction
    meets = (density >= 0.35) & (density <= 0.55) & (nu >= -0.9)
    best = [
        n
        for n in np.flatnonzero(meets)
        if not np.any(meets & (E >= E[n]) & (nu >= nu[n]) & ((E > E[n]) | (nu > nu[n])))
    ]
    found = sorted(unit["values"]["E"] for unit in of_kind(shown, "start"))
    assert found == pytest.approx(sorted(E[best]), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"cleaning": Cleaning(Range(0.37, 0.39))},
        {"cleaning": Cleaning(Range(0.35, 0.55), min_feature=3)},
        {"cleaning": Cleaning(Range(0.35, 0.55), open_cell=True)},
        {"bounds": (Bound("nu", Range(0.2)),)},
    ],
)
def test_units_of_the_start_meet_every_bound(run_folder, model, tmp_path, options):
    task = replace(small_plan(model).task, **options)
    cleaning, path = task.cleaning, tmp_path / "start.h5"
    with Dataset(run_folder / LABELLED) as units:  # all of them are open
        cells, labels = units.cells(), (units.labels.attributes, dict(units.labels))
    cells.columns["open_cell"] = np.arange(len(cells.packed)) % 2 == 0
    write_dataset(path, cells, {"labels": labels})
    with Dataset(path) as units:
        found, without = (start_shown(units, of) for of in (task, small_plan(model).task))
    for unit in found:
        assert cleaning.density.low <= unit["values"]["density"] <= cleaning.density.high
        assert unit["feature"] >= cleaning.min_feature
        assert unit["open_cell"] or not cleaning.open_cell
        assert all(bound.range.excess(unit["values"]["nu"]) == 0 for bound in task.bounds)
    assert found != without


def test_rivals_are_the_units_of_their_folder(shown, rival):
    with Dataset(rival / "designs.h5") as units:
        (unit,) = of_kind(shown, "rival")
        assert unit["name"] == "to: fcc"
        assert unit["values"]["K"] == pytest.approx(units.labels["K"][0], rel=1e-5)
        assert np.array_equal(octant_of(unit), units.octants[0])


def test_units_of_others_have_their_lines_of_a_table(shown):
    for kind in ("start", "rival"):
        rows = list(csv.DictReader(shown["tables"][kind].splitlines()))
        assert [float(row["K"]) for row in rows] == [u["values"]["K"] for u in of_kind(shown, kind)]


def test_without_labels_there_is_no_start(copy):
    (copy / LABELLED).unlink()
    found = content(copy)
    assert not of_kind(found, "start")
    assert "no labels" in found["missing_start"]


# what failed


def with_changes(designs, change):
    groups = {g: {n: c.copy() for n, c in of.items()} for g, of in designs.groups.items()}
    change(groups)
    return replace(designs, groups=groups)


def test_what_failed_is_told(designs, model):
    def spoil(groups):
        groups["verification"]["K_fine"][:] = 1.0
        groups["labels"]["status"][:] = 0
        for name in ("E", "nu"):
            groups["predictions"][f"{name}_mean"] = groups["labels"][name].copy()
            groups["predictions"][f"{name}_total"][:] = 0.1
        groups["verification"]["K_fine"][0] = np.nan
        groups["verification"]["parts"][1] = 2
        groups["labels"]["status"][2] = 1
        groups["predictions"]["E_mean"][0] += 0.35
        groups["labels"]["nu"][1] = -0.95
        groups["predictions"]["nu_mean"][1] = -0.95

    spoiled = with_changes(designs, spoil)
    found = problems(spoiled, small_plan(model).task)
    texts = [[p["text"] for p in of] for of in found]
    edge = 2 * designs.cells.shape[0]
    assert texts[0] == [
        f"not verified at {edge}³: no solution there",
        "E predicted 3.5 deviations off",
    ]
    assert texts[1] == ["more or less than one part carries load", "nu is -0.95, asked -0.9:"]
    assert texts[2] == ["not solved by finite elements"]
    assert not any(texts[3:])


def test_designs_that_fail_alike_are_told_together():
    units = [{"row": n, "problems": [{"kind": "odd"}] if n not in (3, 4) else []} for n in range(7)]
    assert failures(units) == ["Designs 0 to 2, 5 to 6: odd."]


def test_a_run_that_is_not_finished_shows_its_rounds(copy):
    (copy / "designs.h5").unlink()
    (copy / "round-2" / "designs.h5").unlink()
    found = content(copy)
    assert "1 of 2 rounds" in found["notices"][0]
    assert {unit["round"] for unit in of_kind(found, "design")} == {1}


def test_a_run_without_verified_designs_is_refused(copy, run):
    for path in copy.rglob("designs.h5"):
        path.unlink()
    outcome = run("report", copy, "-o", copy / "report.html")
    assert_refused(outcome, 2, "no verified designs yet", "--resume")
    assert not (copy / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.json", "{"), ("designs.h5", "no HDF5"), ("round-1/history.csv", "a\n1")],
)
def test_damaged_folders_are_refused(copy, run, name, text):
    (copy / name).write_text(text)
    assert_refused(run("report", copy, "-o", copy / "report.html"), 3, str(copy))


def test_folders_of_another_kind_are_refused(run_folder, rival, run, tmp_path):
    output = tmp_path / "report.html"
    assert_refused(run("report", rival, "-o", output), 2, "no design run there")
    assert_refused(
        run("report", run_folder, "--rival", run_folder, "-o", output), 2, "homog topopt"
    )


def test_rivals_without_labels_are_refused(rival, tmp_path):
    shutil.copytree(rival, tmp_path / "to")
    with Dataset(rival / "designs.h5") as units:
        write_dataset(tmp_path / "to" / "designs.h5", units.cells())
    with pytest.raises(DataError, match="cubic cells with labels"):
        rival_shown(tmp_path / "to", {"E": 70e3, "nu": 0.33})
    (tmp_path / "to" / "designs.h5").unlink()
    with pytest.raises(ParameterError, match="not finished"):
        rival_shown(tmp_path / "to", {"E": 70e3, "nu": 0.33})


def test_units_of_another_solid_are_not_compared(copy, tmp_path, run):
    settings = small(E=1.0)
    with Folder(tmp_path / "to", settings) as kept:
        kept.write(optimize(settings, kept))
    outcome = run("report", copy, "--rival", tmp_path / "to", "-o", tmp_path / "report.html")
    assert_refused(outcome, 3, "another solid", "--E 70000 --nu 0.33")
    with Dataset(copy / LABELLED) as units:
        cells, labels = units.cells(), dict(units.labels)
        attributes = units.labels.attributes | {"nu": 0.3}
    write_dataset(copy / LABELLED, cells, {"labels": (attributes, labels)})
    assert "another solid" in content(copy)["missing_start"]


def test_several_rivals_have_their_own_lines(run_folder, rival):
    found = content(run_folder, [rival, rival])
    assert [unit["row"] for unit in of_kind(found, "rival")] == [0, 1]


# reliability


def test_coverage_counts_scores_within_central_intervals():
    ends = np.array([0.6745, -0.6745])  # quartiles
    shares = reliability.covered(np.concatenate([0.999 * ends, 1.001 * ends]))
    at = dict(zip(LEVELS.tolist(), shares, strict=True))
    assert (at[0.45], at[0.5], at[0.55]) == (0.0, 0.5, 1.0)
    assert reliability.covered(np.array([])) is None


def test_validation_units_are_covered_as_their_scores_say():
    class Stated:
        targets = ("E", "nu")
        calibration = Calibration(
            np.array([2.0, 1.0]),
            np.tile(np.linspace(-1, 1, len(PROBABILITIES)), (2, 1)),
            ("isotonic", "gaussian"),
        )

    found = reliability.of_validation(Stated, ("E", "nu", "K"))
    assert list(found) == ["E"]
    half = LEVELS.tolist().index(0.5)
    assert found["E"]["recalibrated"][half] == pytest.approx(0.6745, abs=0.01)
    assert found["E"]["trained"][half] == pytest.approx(0.6745 / 2, abs=0.01)


def test_known_designs_say_nothing_of_reliability(designs):
    def know(groups):
        groups["designs"]["known"] = np.arange(len(designs)) == 0
        groups["predictions"]["E_mean"][0] = 1e9
        groups["predictions"]["E_mean"][1:] = groups["scattered"]["E"][1:] * 1.1
        groups["predictions"]["E_total"][1:] = groups["scattered"]["E"][1:] * 0.1

    found = reliability.of_designs(with_changes(designs, know), ["E"])
    assert found["count"] == len(designs) - 1
    at = dict(zip(LEVELS.tolist(), found["shares"]["E"], strict=True))
    assert (at[0.65], at[0.7]) == (0.0, 1.0)  # one deviation off, 68 %


def test_a_surrogate_that_is_gone_or_another_is_told(copy, tmp_path):
    said = json.loads((copy / "run.json").read_text())
    said["surrogate"] = "0" * 16
    (copy / "run.json").write_text(json.dumps(said))
    assert "not the one" in content(copy)["reliability"]["missing"]
    said["plan"]["model"] = str(tmp_path / "gone")
    (copy / "run.json").write_text(json.dumps(said))
    found = content(copy)["reliability"]
    assert "no surrogate there" in found["missing"]
    assert found["validation"] == {}


# commands


PLANS = [
    small_plan("a model/", goals=("E",)),
    replace(small_plan("m", rounds=1, units="u.h5", count=7), search=Settings(12, 40, 3)),
    replace(
        small_plan(None, report=20, count=2000, rounds=3),
        task=Task(
            (Goal("K"), Goal("density", maximize=False)),
            Cleaning(Range(), 3, "fill", True),
            (Bound("nu", Range(0.1, 0.2)), Bound("E", Range(5.0))),
            risk=0.0,
            samples=0,
        ),
        search=Settings(),
    ),
]


@pytest.mark.parametrize("plan", PLANS)
def test_the_command_of_a_plan_leads_to_that_plan(plan):
    _, _, *words = shlex.split(design_command(plan, "run"))
    options = cli.commands["design"].make_context("design", words).params
    for name in ("output", "resume", "workers", "threads", "force"):
        options.pop(name)
    assert design_plan(**options) == plan


# page


def test_the_page_holds_the_content(run_folder, tmp_path, shown, rival):
    path = tmp_path / "report.html"
    assert write_report(run_folder, path, [rival]) == shown
    text = path.read_text()
    assert data_of(text) == shown
    assert len(text) < 1e6
    assert "{{" not in text.partition('id="data"')[0]


def test_texts_of_strangers_cannot_leave_their_place(shown):
    hostile = json.loads(json.dumps(shown))
    hostile["units"][0]["name"] = HOSTILE
    hostile["notices"] = [HOSTILE]
    hostile["task"]["goals"][0]["name"] = HOSTILE
    text = page(hostile)
    assert data_of(text) == hostile
    assert text.count("<script") == page(shown).count("<script") == 2
    assert "<img" not in text
    assert "&lt;/script&gt;" in re.search("<title>(.*)</title>", text)[1]


def test_only_the_program_of_the_page_may_run_and_nothing_is_loaded(shown):
    text = page(shown)
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for name, tag in (("script-src", 'script type="module"'), ("style-src", "style")):
        inside = re.search(f"<{tag}>(.*?)</{tag.split()[0]}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    outside = text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(|\bfetch\(|\bimport\(", outside)


def test_a_goal_that_is_not_predicted_makes_a_page(model, tmp_path):
    folder = finished_run(model, tmp_path / "run", goals=("density",), rounds=1)
    shown = write_report(folder, tmp_path / "report.html")
    assert shown["task"]["goals"] == [{"name": "density", "maximize": True}]
    assert list(shown["reliability"]["designs"]["shares"]) == []


# command


def test_the_command_writes_a_page(run_folder, rival, run, tmp_path):
    path = tmp_path / "report.html"
    code, out, err = run("report", run_folder, "--rival", rival, "-o", path)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: ")
    assert_refused(run("report", run_folder, "-o", path), 2, "exists already")
    assert run("report", run_folder, "-o", path, "--force")[0] == 0
    assert_refused(run("report", run_folder, "-o", tmp_path / "r.pdf"), 2, ".html")


def test_designs_of_another_kind_are_refused(copy, run, designs):
    output, path = copy / "report.html", copy / "designs.h5"
    cells = replace(designs.cells, cubic=False, packed=pack(np.ones((len(designs), 16, 16, 16))))
    write_designs(path, replace(designs, cells=cells), {})
    assert_refused(run("report", copy, "-o", output), 3, str(path), "cubic")
    write_dataset(path, designs.cells)
    assert_refused(
        run("report", copy, "-o", output), 3, str(path), "not one that homog design made"
    )
