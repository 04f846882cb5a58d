"""Export, import and fields on the command line: what is written, and every bad input of theirs."""

import os
import shlex
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import ROOT, UNITS, assert_refused

from homog import Isotropic, homogenize
from homog.cli import cli
from homog.dataset import Dataset

trimesh = pytest.importorskip("trimesh", reason="needs the extra files")

SOLID = ["--E", "70e3", "--nu", "0.33"]


@pytest.fixture
def unit(tmp_path):
    """A small triclinic unit in a file."""
    path = tmp_path / "unit.npy"
    np.save(path, np.random.default_rng(7).random((6, 7, 8)) < 0.7)
    return path


@pytest.fixture
def part(run, folder, unit):
    """That unit as a part."""
    assert run("export", unit, "part.stl")[0] == 0
    return folder / "part.stl"


def examples(name):
    """The commands in the help of a command."""
    lines = cli.commands[name].epilog.splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("homog ")]


def test_export_and_import_give_back_the_unit(run, folder, unit):
    code, out, err = run("export", unit, "part.stl", "--size", "16")
    assert (code, err) == (0, "")
    voxels = np.load(unit)
    mesh = trimesh.load_mesh(folder / "part.stl")
    assert f"{len(mesh.faces):,} triangles, watertight, 12 x 14 x 16 mm" in out
    assert mesh.volume == pytest.approx(8 * voxels.sum(), rel=1e-3)
    code, out, err = run("import", "part.stl", "--resolution", "8", "-o", "back.npy")
    assert (code, err) == (0, "")
    assert out == f"back.npy: 6 x 7 x 8 voxels, density {voxels.mean():.4f}\n"
    np.testing.assert_array_equal(np.load(folder / "back.npy"), voxels)


def test_help_of_export_and_import_has_examples_that_run(run, folder, units_file, part):
    """At small size, in a folder with the files that they name."""
    (folder / "examples" / "units").mkdir(parents=True)
    octet = np.load(UNITS / "octet.npy")[::4, ::4, ::4]
    np.save(folder / "examples" / "units" / "octet.npy", octet)
    shutil.copy(units_file, folder / "units.h5")
    grey = np.random.default_rng(0).integers(0, 2**16, (3, 5, 5)).astype("<u2")
    grey.tofile(folder / "scan.raw")
    pytest.importorskip("tifffile").imwrite(folder / "scan.tif", grey, photometric="minisblack")
    for command in [*examples("export"), *examples("import"), examples("solve")[-1]]:
        shrunk = [word.replace("512,512,300", "5,5,3") for word in command]
        assert run(*shrunk, "--force")[0] == 0, command
    assert len(examples("export")) + len(examples("import")) == 7


def test_export_of_a_unit_of_a_dataset(run, folder, units_file):
    assert run("export", units_file, "--index", "7", "-o", "unit.stl")[0] == 0
    assert run("import", "unit.stl", "--resolution", "20", "-o", "unit.npy")[0] == 0
    with Dataset(units_file) as units:
        np.testing.assert_array_equal(np.load("unit.npy"), units[7].voxels)
    assert_refused(run("export", units_file, "other.stl"), 2, "units.h5", "--index")
    assert_refused(run("export", units_file, "other.stl", "--index", "99"), 2, "units.h5", "99")


def test_export_says_where_void_is_enclosed(run, folder):
    for name, depth in (("pore", 1), ("channel", 8)):
        voxels = np.ones((8, 8, 8), bool)
        voxels[3, 3, :depth] = False
        np.save(folder / f"{name}.npy", voxels)
        out = run("export", f"{name}.npy", f"{name}.stl")[1]
        assert ("encloses void that no powder leaves" in out) == (name == "pore")


def test_export_tiles_and_smooths(run, folder, tmp_path):
    bars = np.zeros((8, 8, 8), dtype=bool)
    bars[:, 2:6, 2:6] = bars[2:6, :, 2:6] = bars[2:6, 2:6, :] = True
    np.save(tmp_path / "bars.npy", bars)
    code, out, _ = run(
        "export", tmp_path / "bars.npy", "b.stl", "--tile", "2", "--smooth", "--size", "4"
    )
    assert code == 0
    assert "8 x 8 x 8 mm" in out
    mesh = trimesh.load_mesh(folder / "b.stl")
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(8**3 * bars.mean(), rel=0.01)


@pytest.mark.parametrize("program", ["abaqus", "ansys", "calculix", "ls-dyna"])
def test_export_of_a_card(run, folder, unit, program):
    code, out, err = run("export", unit, "--card", program, "-o", "cell.inp", *SOLID)
    assert (code, err) == (0, "")
    result = homogenize(np.load(unit), Isotropic(70e3, 0.33))
    assert out == (
        f"cell.inp: {program} card, E {result.E:.6g}, density {result.volume_fraction:.4g}\n"
    )
    assert f"{result.C[0, 0]:.8g}" in (folder / "cell.inp").read_text()


BAD_EXPORTS = {
    "no output": ([], 2, ["one output"]),
    "two outputs": (["a.stl", "-o", "b.stl"], 2, ["one output"]),
    "unknown ending": (["a.obj"], 2, ["a.obj", ".stl"]),
    "no folder": (["missing/a.stl"], 2, ["no folder missing"]),
    "no tile": (["a.stl", "--tile", "0"], 2, ["--tile"]),
    "no size": (["a.stl", "--size", "0"], 2, ["size must be positive"]),
    "endless size": (["a.stl", "--size", "inf"], 2, ["size must be positive"]),
    "solid of a mesh": (["a.stl", *SOLID], 2, ["--E says nothing about a mesh"]),
    "unknown program": (["a.inp", "--card", "nastran"], 2, ["--card", "abaqus"]),
    "card without solid": (["a.inp", "--card", "abaqus"], 2, ["--E and --nu"]),
    "card of tiles": (["a.inp", "--card", "abaqus", *SOLID, "--tile", "2"], 2, ["--tile"]),
    "card as mesh": (["a.stl", "--card", "abaqus", *SOLID], 2, ["a.stl", ".inp"]),
    "bad solid": (["a.inp", "--card", "abaqus", "--E", "-1", "--nu", "0"], 2, ["E must be"]),
}


@pytest.mark.parametrize("name", BAD_EXPORTS)
def test_bad_exports_leave_nothing(run, folder, unit, name):
    options, code, words = BAD_EXPORTS[name]
    assert_refused(run("export", unit, *options), code, *words)
    assert not list(folder.iterdir())


def test_exports_of_cells_that_have_no_mesh_or_card(run, folder, tmp_path):
    void, bar = np.zeros((4, 4, 4)), np.zeros((4, 4, 4))
    bar[:, 1, 1] = 1
    np.save(tmp_path / "void.npy", void)
    np.save(tmp_path / "bar.npy", bar)
    (tmp_path / "text.npy").write_text("0 1")
    assert_refused(run("export", tmp_path / "void.npy", "a.stl"), 3, "void.npy", "no surface")
    card = ["--card", "abaqus", *SOLID, "-o", "a.inp"]
    assert_refused(run("export", tmp_path / "bar.npy", *card), 3, "bar.npy", "singular")
    assert_refused(run("export", tmp_path / "text.npy", "a.stl"), 3, "text.npy")
    assert_refused(run("export", tmp_path / "none.npy", "a.stl"), 2, "none.npy")
    assert not list(folder.iterdir())


def test_a_mesh_that_fails_its_check_is_not_written(run, folder, tmp_path):
    """No smooth surface bounds voxels that touch along all their edges, and nothing else."""
    np.save(tmp_path / "chequered.npy", np.indices((6, 6, 6)).sum(axis=0) % 2)
    outcome = run("export", tmp_path / "chequered.npy", "a.stl", "--smooth")
    assert_refused(outcome, 3, "chequered.npy", "nothing was written", "--smooth")
    assert not list(folder.iterdir())


def test_outputs_are_replaced_only_with_force(run, folder, unit, part):
    before = part.read_bytes()
    assert_refused(run("export", unit, "part.stl", "--tile", "2"), 2, "part.stl", "--force")
    assert part.read_bytes() == before
    assert run("export", unit, "part.stl", "--tile", "2", "--force")[0] == 0
    assert part.read_bytes() != before
    assert run("import", "part.stl", "-o", "back.npy")[0] == 0
    assert_refused(run("import", "part.stl", "-o", "back.npy"), 2, "back.npy", "--force")


def test_import_warns_of_faces_that_do_not_meet(run, folder, tmp_path):
    half = np.zeros((8, 8, 8), dtype=bool)
    half[:4, 2:6, 2:6] = True
    np.save(tmp_path / "half.npy", half)
    assert run("export", tmp_path / "half.npy", "half.stl", "--size", "8")[0] == 0
    code, _, err = run("import", "half.stl", "--size", "8", "--resolution", "8", "-o", "b.npy")
    assert code == 0
    assert err.startswith("homog: half.stl: warning: 100% of the solid in the faces along x")
    assert err.count("\n") == 1
    np.testing.assert_array_equal(np.load(folder / "b.npy"), half)


def test_import_of_stacks(run, folder):
    tifffile = pytest.importorskip("tifffile", reason="needs the extra files")
    grey = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)
    grey.tofile("scan.raw")
    tifffile.imwrite("scan.tif", grey, photometric="minisblack")
    shape = ["--shape", "5,4,3"]
    assert run("import", "scan.raw", *shape, "--threshold", "99", "-o", "raw.npy")[0] == 0
    assert run("import", "scan.tif", "--threshold", "99", "-o", "tif.npy")[0] == 0
    for name in ("raw.npy", "tif.npy"):
        np.testing.assert_array_equal(np.load(name), grey.T >= 99)


BAD_IMPORTS = {
    "another format": ("part.obj", [], 2, ["part.obj", ".stl"]),
    "missing": ("none.stl", [], 2, ["none.stl", "no such file"]),
    "a folder": ("folder.stl", [], 2, ["folder.stl", "folder"]),
    "empty": ("empty.stl", [], 3, ["empty.stl", "empty"]),
    "text": ("text.stl", [], 3, ["text.stl", "again"]),
    "no voxels": ("part.stl", ["--resolution", "0"], 2, ["--resolution"]),
    "too many voxels": ("part.stl", ["--resolution", "100000000"], 3, ["part.stl", "memory"]),
    "no box": ("part.stl", ["--size", "0"], 2, ["size must be positive"]),
    "small box": ("part.stl", ["--size", "1"], 3, ["part.stl", "leaves the box"]),
    "threshold of a part": ("part.stl", ["--threshold", "1"], 2, ["--threshold"]),
    "size of a stack": ("scan.tif", ["--size", "1"], 2, ["--size"]),
    "shape of a TIFF": ("scan.tif", ["--shape", "1,1,1"], 2, ["--shape"]),
    "bad TIFF": ("scan.tif", [], 3, ["scan.tif", "TIFF"]),
    "raw without shape": ("scan.raw", [], 2, ["scan.raw", "--shape"]),
    "two lengths": ("scan.raw", ["--shape", "1,2"], 2, ["--shape", "1,2"]),
    "no length": ("scan.raw", ["--shape", "1,2,0"], 2, ["--shape", "1,2,0"]),
    "words": ("scan.raw", ["--shape", "a,b,c"], 2, ["--shape", "a,b,c"]),
    "another size": ("scan.raw", ["--shape", "2,2,2"], 3, ["scan.raw", "8 bytes"]),
    "unknown type": ("scan.raw", ["--shape", "1,1,9", "--dtype", "bool"], 2, ["--dtype"]),
}


@pytest.mark.parametrize("name", BAD_IMPORTS)
def test_bad_imports_leave_nothing(run, folder, part, name):
    file, options, code, words = BAD_IMPORTS[name]
    for path in ("text.stl", "part.obj", "scan.tif", "scan.raw"):
        (folder / path).write_bytes(b"no format")
    (folder / "empty.stl").touch()
    (folder / "folder.stl").mkdir()
    assert_refused(run("import", file, *options, "-o", "back.npy"), code, *words)
    assert not (folder / "back.npy").exists()


def test_import_writes_npy_only(run, part):
    assert_refused(run("import", part, "-o", "back.vox"), 2, "back.vox", ".npy")


def test_special_files_do_not_hang(run, folder):
    os.mkfifo(folder / "pipe.stl")
    assert_refused(run("import", "pipe.stl", "-o", "back.npy"), 3, "pipe.stl")


@pytest.mark.parametrize(("missing", "extra"), [("trimesh", "files"), ("skimage.measure", "view")])
def test_missing_extra_is_one_line(run, folder, unit, monkeypatch, missing, extra):
    for module in ("homog.meshes", "homog.surfaces"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    name = missing.partition(".")[0]
    outcome = run("export", unit, "a.stl")
    assert_refused(outcome, 2, f"{name} is not installed; pip install 'homog-toolkit[{extra}]'")


def test_fields_hold_the_mean_stress_that_was_printed(run, folder, unit):
    strain = "0.1,0,0,0.2,0,-0.3"
    options = ["--fields", "unit.vtkhdf", "--strain", strain, "--tol", "1e-9"]
    code, out, err = run("solve", unit, *SOLID, *options)
    assert (code, err) == (0, "")
    assert out.startswith(str(unit))
    C = homogenize(np.load(unit), Isotropic(70e3, 0.33), tol=1e-9).C
    expected = C @ [float(word) for word in strain.split(",")]
    with h5py.File(folder / "unit.vtkhdf") as file:
        mean = file["VTKHDF/CellData/stress"][:].mean(axis=(0, 1, 2), dtype=float)
    np.testing.assert_allclose(mean, expected[[0, 1, 2, 5, 3, 4]], atol=1e-6 * C.max())


BAD_FIELDS = {
    "ending": (["--fields", "a.vti"], ["a.vti", ".vtkhdf"]),
    "no folder": (["--fields", "missing/a.vtkhdf"], ["no folder missing"]),
    "strain": (["--fields", "a.vtkhdf", "--strain", "1,0"], ["six numbers", "1,0"]),
    "strain alone": (["--strain", "1,0,0,0,0,0"], ["--strain", "--fields"]),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_fields_are_refused_before_any_solving(run, folder, unit, name):
    options, words = BAD_FIELDS[name]
    assert_refused(run("solve", unit, *SOLID, *options), 2, *words)
    assert not list(folder.iterdir())


def test_fields_are_of_one_cell_and_replaced_only_with_force(run, folder, unit, units_file):
    fields = ["--fields", "a.vtkhdf"]
    assert_refused(run("solve", unit, unit, *SOLID, *fields), 2, "one cell, got 2")
    several = ["--index", "1", "--index", "2"]
    assert_refused(run("solve", units_file, *several, *SOLID, *fields), 2, "one cell, got 2")
    assert not list(folder.iterdir())
    assert run("solve", unit, *SOLID, *fields)[0] == 0
    assert_refused(run("solve", unit, *SOLID, *fields), 2, "a.vtkhdf", "--force")
    assert run("solve", unit, *SOLID, *fields, "--force")[0] == 0


def test_help_needs_none_of_the_extras():
    """Only modules of the base are imported with the command line."""
    code = "import sys, homog.cli; print(*(sys.modules.keys() & {'trimesh', 'h5py', 'tifffile'}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
