"""homog view: what it draws, what it prints, and every bad input of it."""

import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import assert_refused

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from homog import Isotropic, homogenize
from homog.cli import cli
from homog.dataset import Dataset
from homog.directional import extreme_moduli
from homog.labels import stored_stiffness

SOLID = ["--E", "70e3", "--nu", "0.33"]


@pytest.fixture
def unit(tmp_path, triclinic):
    np.save(tmp_path / "unit.npy", triclinic)
    return tmp_path / "unit.npy"


@pytest.fixture(scope="module")
def labelled_cells(tmp_path_factory):
    """Two triclinic cells with labels, and the cubic ones of a file of their own."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(7)
    np.save(folder / "one.npy", rng.random((6, 7, 8)) < 0.7)
    np.save(folder / "two.npy", rng.random((6, 7, 8)) < 0.7)
    ball = ((np.indices((8, 8, 8)) - 3.5) ** 2).sum(axis=0) > 12
    np.save(folder / "cube.npy", ball)
    for name, cells in (("boxes", ("one", "two")), ("cubes", ("cube",))):
        units, labelled = str(folder / f"{name}-units.h5"), str(folder / f"{name}.h5")
        commands = (
            ["pack", *(str(folder / f"{cell}.npy") for cell in cells), "-o", units],
            ["label", units, "-o", labelled, *SOLID, "--workers", "1"],
        )
        for command in commands:
            cli.main(command, standalone_mode=False)
    return folder


def test_view_draws_a_unit_of_an_array(run, folder, unit):
    code, out, err = run("view", unit, "-o", "unit.png")
    assert (code, err) == (0, "")
    assert out == f"unit.png: unit.npy: 6 x 7 x 8 voxels, density {np.load(unit).mean():.3f}\n"
    assert (folder / "unit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_every_kind_of_picture_in_every_format(run, folder, units_file, ending):
    for options in (
        ["--index", "1", "--index", "2"],
        ["--index", "1", "--tile", "2x1x1", "--voxels", "--angle", "-30,60"],
        ["--index", "1", "--slices", "3", "--axis", "y"],
        ["--index", "1", "--directional", *SOLID],
    ):
        code, out, err = run("view", units_file, *options, "-o", f"a.{ending}", "--force")
        assert (code, err) == (0, "")
        assert out.startswith(f"a.{ending}: ")
    assert [path.name for path in folder.iterdir()] == [f"a.{ending}"]


@pytest.mark.parametrize("options", [[], ["--slices", "mid"], ["--voxels"]])
def test_colours_say_quantity_strain_unit_and_solid(run, folder, unit, options):
    colour = ["--color", "energy", "--strain", "yz", *SOLID, "--unit", "MPa"]
    code, out, err = run("view", unit, *colour, *options, "-o", "a.svg")
    assert (code, err) == (0, "")
    assert "strain energy density at unit strain yz up to " in out
    text = (folder / "a.svg").read_text()
    assert "strain energy density at unit strain yz, MPa" in text
    assert "solid E = 70000, nu = 0.33" in text


def test_moduli_are_those_of_the_unit(run, folder, unit):
    code, out, err = run("view", unit, "--directional", *SOLID, "-o", "a.svg")
    assert (code, err) == (0, "")
    (low, _), (high, _) = extreme_moduli(homogenize(np.load(unit), Isotropic(70e3, 0.33)).C)
    for text in (out, (folder / "a.svg").read_text()):
        assert f"min {low:,.4g} along" in text
        assert f"max {high:,.4g} along" in text


@pytest.mark.parametrize(("name", "index"), [("boxes", 1), ("boxes", -2), ("cubes", 0)])
def test_moduli_of_a_labelled_unit_need_no_solid(run, folder, labelled_cells, name, index):
    path = labelled_cells / f"{name}.h5"
    chosen = ["view", path, "--index", index, "--directional"]
    stored = run(*chosen, "-o", "stored.png")
    solved = run(*chosen, *SOLID, "-o", "solved.png")
    assert stored[0] == solved[0] == 0, stored[2] + solved[2]
    assert stored[1].replace("stored", "") == solved[1].replace("solved", "")
    with Dataset(path) as dataset:
        unit = dataset[index]
        found = stored_stiffness(dataset, unit.index)
    expected = homogenize(unit.voxels, Isotropic(70e3, 0.33)).C
    np.testing.assert_allclose(found, expected, atol=2e-5 * expected.max())


def test_a_unit_whose_label_failed_has_no_moduli(run, folder, labelled_cells, tmp_path):
    path = shutil.copy(labelled_cells / "boxes.h5", tmp_path / "failed.h5")
    with h5py.File(path, "a") as file:
        file["labels/status"][1] = 1
        file["labels/message"][1] = b"too soft"
    outcome = run("view", path, "--index", "1", "--directional", "-o", "a.png")
    assert_refused(outcome, 3, "failed.h5", "unit 1 has no label", "too soft")


def test_a_mechanism_has_no_moduli(run, folder, tmp_path):
    plate = np.zeros((4, 4, 4), dtype=bool)
    plate[:2] = True
    np.save(tmp_path / "plate.npy", plate)
    outcome = run("view", tmp_path / "plate.npy", "--directional", *SOLID, "-o", "a.png")
    assert_refused(outcome, 3, "plate.npy", "C is singular")
    assert not list(folder.iterdir())


BAD = {
    "ending": (["-o", "a.jpg"], 2, ["a.jpg", ".png or .svg or .pdf"]),
    "no ending": (["-o", "a"], 2, [".png"]),
    "colour without solid": (["--color", "mises"], 2, ["give --E and --nu"]),
    "colour without nu": (["--color", "mises", "--E", "1"], 2, ["give --E and --nu"]),
    "moduli without solid": (["--directional"], 2, ["give --E and --nu"]),
    "impossible solid": (["--color", "mises", "--E", "1", "--nu", "0.5"], 2, ["nu must lie"]),
    "solid for nothing": (SOLID, 2, ["--E says nothing about the surface", "--color"]),
    "strain for nothing": (["--strain", "xy"], 2, ["--strain says nothing", "add --color"]),
    "axis for nothing": (["--axis", "x"], 2, ["--axis says nothing", "add --slices"]),
    "axis of mid planes": (["--slices", "mid", "--axis", "x"], 2, ["leave --axis out"]),
    "sample of one": (["--sample", "3"], 2, ["--sample says nothing"]),
    "two pictures": (["--slices", "2", "--directional"], 2, ["two pictures"]),
    "tiles of sections": (["--slices", "2", "--tile", "2"], 2, ["--tile says nothing"]),
    "colour of moduli": (["--directional", "--color", "mises", *SOLID], 2, ["--color says"]),
    "renderer of moduli": (["--directional", "--renderer", "pyvista"], 2, ["--renderer says"]),
    "too many slices": (["--slices", "9"], 2, ["9 sections of 8 layers along z"]),
    "no slices": (["--slices", "0"], 2, ["--slices", "or mid"]),
    "slices of words": (["--slices", "few"], 2, ["--slices", "few"]),
    "no tile": (["--tile", "0"], 2, ["--tile", "2x2x1"]),
    "two tiles": (["--tile", "2x2"], 2, ["--tile", "2x2"]),
    "tile of words": (["--tile", "a"], 2, ["--tile"]),
    "angle": (["--angle", "10,100"], 2, ["--angle", "-58,24"]),
    "not an angle": (["--angle", "nan,0"], 2, ["--angle"]),
    "one angle": (["--angle", "10"], 2, ["--angle"]),
    "unknown colour": (["--color", "red", *SOLID], 2, ["--color"]),
    "properties": (["--properties"], 3, ["unit.npy", "expected an HDF5 file"]),
    "index of an array": (["--index", "0"], 3, ["unit.npy", "expected an HDF5 file"]),
    "no folder": (["-o", "missing/a.png"], 2, ["make it first"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_one_line_and_leave_no_file(run, folder, unit, case):
    options, code, words = BAD[case]
    output = [] if "-o" in options else ["-o", "a.png"]
    assert_refused(run("view", unit, *options, *output), code, *words)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tile", "2"], 2, ["--tile says nothing about a gallery", "one unit with --index"]),
        (["--slices", "2"], 2, ["choose one with --index"]),
        (["--color", "mises", *SOLID], 2, ["--E says nothing about a gallery", "--index"]),
        (["--directional"], 2, ["choose one with --index"]),
        (["--directional", "--index", "0"], 2, ["no labels", "--E and --nu", "homog label"]),
        (["--directional", "--index", "99", *SOLID], 2, ["no unit 99", "0 to 11"]),
        (["--slices", "2", "--index", "-13"], 2, ["no unit -13"]),
    ],
)
def test_bad_options_of_a_dataset(run, folder, units_file, options, code, words):
    assert_refused(run("view", units_file, *options, "-o", "a.png"), code, *words)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "options", [[], ["--slices", "mid"], ["--directional", *SOLID], ["--color", "energy", *SOLID]]
)
def test_void_cannot_be_drawn(run, folder, tmp_path, options):
    np.save(tmp_path / "void.npy", np.zeros((4, 4, 4), dtype=bool))
    outcome = run("view", tmp_path / "void.npy", *options, "-o", "a.png")
    assert_refused(outcome, 3, "void.npy", "no voxel is solid")


def test_an_old_picture_stays_without_force_and_where_drawing_fails(run, folder, unit):
    (folder / "a.png").write_text("old")
    assert_refused(run("view", unit, "-o", "a.png"), 2, "exists already", "--force")
    failing = ["--slices", "9", "--force"]
    assert run("view", unit, *failing, "-o", "a.png")[0] == 2
    assert (folder / "a.png").read_text() == "old"
    assert run("view", unit, "-o", "a.png", "--force")[0] == 0
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")


def test_pyvista_that_is_missing_is_one_line(run, folder, unit, monkeypatch):
    monkeypatch.setattr("homog.rendering.find_spec", lambda name: None)
    outcome = run("view", unit, "--renderer", "pyvista", "-o", "a.png")
    assert_refused(outcome, 2, "pyvista is not installed", "homog-toolkit[pyvista]")
    assert not list(folder.iterdir())


def test_grey_values_and_archives_are_read_as_by_solve(run, folder, tmp_path):
    np.savez(
        tmp_path / "grey.npz", other=np.zeros(1), grey=np.random.default_rng(0).random((4, 4, 4))
    )
    options = ["--key", "grey", "--threshold", "0.5"]
    code, out, err = run("view", tmp_path / "grey.npz", *options, "-o", "a.png")
    assert (code, err) == (0, "")
    assert "density" in out


def test_no_display_is_needed(folder, unit):
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "MPLBACKEND")}
    command = [sys.executable, "-m", "homog", "view", str(unit), "-o", "a.png"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_groups_every_option_once(run):
    code, out, _ = run("view", "--help")
    assert code == 0
    groups = out[out.index("What to draw of a dataset:") :]
    for option in cli.commands["view"].params:
        if option.opts[0].startswith("-"):
            lines = [line for line in groups.splitlines() if line.startswith("  -")]
            assert sum(option.opts[-1] in line.split() for line in lines) == 1, option.opts
    for group in ("What to draw of a dataset:", "Unit:", "Sections:", "Colours and moduli:"):
        assert group in out
