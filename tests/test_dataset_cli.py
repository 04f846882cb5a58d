"""The commands of datasets: what they print and write, and every bad input of theirs."""

import json
import os
import shutil
import sys

import h5py
import numpy as np
import pytest
from conftest import assert_refused

from homog.dataset import Dataset
from homog.summary import dataset_summary

SOLID = ["--E", "70e3", "--nu", "0.33"]
FEW = ["--count", "3", "--resolution", "20", "--sources", "lattices", "--workers", "1"]


@pytest.fixture
def folder(tmp_path):
    """An empty folder for outputs."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def copy(units_file, tmp_path):
    """A dataset file that may be spoiled."""
    return shutil.copy(units_file, tmp_path / "copy.h5")


@pytest.fixture
def cells_of_two_shapes(tmp_path):
    """Files of a cell 4 x 5 x 6 and of a cube."""
    paths = tmp_path / "box.npy", tmp_path / "cube.npy"
    np.save(paths[0], np.random.default_rng(0).random((4, 5, 6)) < 0.6)
    np.save(paths[1], np.ones((4, 4, 4)))
    return paths


def test_generate_writes_a_dataset_that_passes_the_check(run, folder):
    path = folder / "units.h5"
    code, out, err = run("generate", path, *FEW, "--seed", "7", "--min-feature", "2")
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: 3 units; rejected ")
    with Dataset(path) as dataset:
        assert dataset.shape == (20, 20, 20)
        assert set(dataset.source) == {"lattices"}
        assert dataset.column("smallest_feature").min() >= 2
        assert dataset.origin["seed"] == 7
    assert run("check", path, "--workers", "1") == (0, f"{path}: 3 units, none of them wrong\n", "")


def test_the_same_seed_gives_the_same_bytes_and_force_replaces(run, folder):
    for name, seed in (("one.h5", 7), ("two.h5", 7), ("three.h5", 8)):
        assert run("generate", folder / name, *FEW, "--seed", seed)[0] == 0
    content = [(folder / name).read_bytes() for name in ("one.h5", "two.h5", "three.h5")]
    assert content[0] == content[1] != content[2]
    outcome = run("generate", folder / "one.h5", *FEW, "--seed", 8)
    assert_refused(outcome, 2, "one.h5", "exists already", "--force")
    assert (folder / "one.h5").read_bytes() == content[0]
    assert run("generate", folder / "one.h5", *FEW, "--seed", 8, "--force")[0] == 0
    assert (folder / "one.h5").read_bytes() == content[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--count", "0"], ["--count"]),
        (["--count", "many"], ["--count", "many"]),
        (["--seed", "-1"], ["--seed"]),
        (["--resolution", "21"], ["resolution", "even number", "21"]),
        (["--resolution", "-2"], ["resolution", "even number"]),
        (["--sources", "gyroids"], ["sources must be some of templates", "gyroids"]),
        (["--sources", ""], ["sources must be some of"]),
        (["--min-feature", "0"], ["--min-feature"]),
        (["--workers", "0"], ["--workers"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_options_of_generate_out_of_range(run, folder, options, words):
    assert_refused(run("generate", folder / "units.h5", *FEW, *options), 2, *words)
    assert not list(folder.iterdir())


def test_generate_needs_a_count_and_an_output(run, folder):
    assert_refused(run("generate", folder / "units.h5"), 2, "--count")
    assert_refused(run("generate", "--count", "3"), 2, "OUTPUT")


def test_an_exhausted_source_is_exit_3_and_leaves_no_file(run, folder, monkeypatch):
    monkeypatch.setattr("homog.units.sampling.ATTEMPTS", 2)
    outcome = run("generate", folder / "units.h5", *FEW, "--count", "90", "--resolution", "8")
    assert_refused(outcome, 3, "no further distinct unit from lattices", "fewer units")
    assert not list(folder.iterdir())


def test_pack_and_extract_give_back_each_cell(run, folder, cells_of_two_shapes):
    box, cube = cells_of_two_shapes
    for path, kind in ((box, "whole cells"), (cube, "octants")):
        out = folder / f"{path.stem}.h5"
        assert run("pack", path, "-o", out) == (0, f"{out}: 1 cells, stored as {kind}\n", "")
        back = folder / f"{path.stem}.npy"
        code, text, err = run("extract", out, "--index", "0", "-o", back)
        assert (code, text, err) == (0, f"{back}: unit 0, files: {path}\n", "")
        np.testing.assert_array_equal(np.load(back), np.load(path))
        assert np.load(back).dtype == bool


def test_pack_takes_grey_values_with_a_threshold(run, folder):
    grey = np.random.default_rng(0).random((4, 4, 5))
    np.save(folder / "grey.npy", grey)
    outcome = run("pack", folder / "grey.npy", "-o", folder / "grey.h5")
    assert_refused(outcome, 3, "grey.npy", "--threshold")
    assert run("pack", folder / "grey.npy", "-o", folder / "grey.h5", "--threshold", "0.4")[0] == 0
    with Dataset(folder / "grey.h5") as dataset:
        np.testing.assert_array_equal(dataset[0].voxels, grey >= 0.4)


def test_cells_that_cannot_be_packed(run, folder, cells_of_two_shapes, tmp_path):
    box, cube = cells_of_two_shapes
    (tmp_path / "text.npy").write_text("0 1 0 1\n")
    for inputs, code, words in (
        ([box, cube], 3, ["cube.npy", "differs from (4, 5, 6)", "a file of their own"]),
        ([box, tmp_path / "text.npy"], 3, ["text.npy", "got text"]),
        ([box, tmp_path / "missing.npy"], 2, ["missing.npy", "no such file"]),
        ([tmp_path], 2, ["folder"]),
        ([], 2, ["FILE"]),
    ):
        assert_refused(run("pack", *inputs, "-o", folder / "cells.h5"), code, *words)
    assert_refused(run("pack", box, "-o", box, "--force"), 2, "box.npy", ".h5")
    assert_refused(run("pack", box), 2, "--output")
    assert np.load(box).shape == (4, 5, 6)
    assert not list(folder.iterdir())


def test_extract_is_the_unit_of_its_index(run, folder, units_file):
    with Dataset(units_file) as dataset:
        for index in (0, 5, -1):
            code, out, err = run("extract", units_file, "--index", index, "-o", folder / "unit.npy",
                                 "--force")  # fmt: skip
            unit = dataset[index]
            assert (code, err) == (0, "")
            assert out.endswith(f"unit.npy: unit {unit.index}, {unit.source}: {unit.family}\n")
            np.testing.assert_array_equal(np.load(folder / "unit.npy"), unit.voxels)


def test_solve_takes_units_of_a_dataset(run, folder, units_file):
    run("extract", units_file, "--index", "5", "-o", folder / "unit.npy")
    expected = json.loads(run("solve", folder / "unit.npy", *SOLID, "--json")[1])
    code, out, err = run("solve", units_file, "--index", "5", "--index", "2", *SOLID, "--json")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert first["C"] == expected["C"] != second["C"]
    assert (first["file"], second["file"]) == (f"{units_file}[5]", f"{units_file}[2]")


@pytest.mark.parametrize("index", ["12", "-13", "1000000000000"])
def test_an_index_out_of_range(run, folder, units_file, index):
    for arguments in (
        ["extract", units_file, "--index", index, "-o", folder / "unit.npy"],
        ["view", units_file, "--index", index, "-o", folder / "unit.png"],
        ["solve", units_file, "--index", index, *SOLID],
    ):
        assert_refused(run(*arguments), 2, "units.h5", f"no unit {index}", "0 to 11")
    assert not list(folder.iterdir())


def test_solve_needs_an_index_for_a_dataset_and_none_for_an_array(run, units_file, tmp_path):
    assert_refused(run("solve", units_file, *SOLID), 2, "units.h5", "choose one with --index")
    np.save(tmp_path / "cell.npy", np.ones((2, 2, 2)))
    outcome = run("solve", tmp_path / "cell.npy", "--index", "0", *SOLID)
    assert_refused(outcome, 3, "cell.npy", "expected an HDF5 file")


def commands(path, folder):
    """Each command that reads a dataset."""
    return [
        ["label", path, "-o", folder / "labelled.h5", *SOLID],
        ["extract", path, "--index", "0", "-o", folder / "unit.npy"],
        ["check", path, "--workers", "1"],
        ["info", path],
        ["view", path, "-o", folder / "units.png"],
        ["solve", path, "--index", "0", *SOLID],
    ]


def spoiled(path, kind):
    """Replace a dataset file by something else; code and words of the refusal."""
    path = os.fspath(path)
    if kind == "truncated":
        os.truncate(path, os.path.getsize(path) // 2)
        return 3, ["truncated"]
    if kind == "external link":
        with h5py.File(path, "a") as file:
            file["more"] = h5py.ExternalLink("/etc/hosts", "/")
        return 3, ["link to elsewhere"]
    if kind == "claims gigabytes":
        with h5py.File(path, "a") as file:
            file.create_dataset("more", (10**12,), "f8", chunks=(1000,))
        return 3, ["does not hold"]
    if kind == "other HDF5":
        with h5py.File(path, "w") as file:
            file["data"] = np.zeros(3)
        return 3, ["not a dataset of homog"]
    os.unlink(path)
    if kind == "missing":
        return 2, ["no such file"]
    if kind == "folder":
        os.mkdir(path)
        return 2, ["folder"]
    if kind == "FIFO":
        os.mkfifo(path)
        return 3, ["FIFO"]
    with open(path, "wb") as stream:
        stream.write({"empty": b"", "text": b"hello"}[kind])
    return 3, ["empty" if kind == "empty" else "expected an HDF5 file"]


@pytest.mark.parametrize(
    "kind",
    [
        *("truncated", "external link", "claims gigabytes", "other HDF5", "missing", "folder"),
        *("FIFO", "empty", "text"),
    ],
)
def test_files_that_are_no_dataset(run, folder, copy, kind):
    code, words = spoiled(copy, kind)
    for arguments in commands(copy, folder):
        assert_refused(run(*arguments), code, "copy.h5", *words)
    assert not list(folder.iterdir())


def test_files_without_read_permission_are_exit_3(run, folder, copy, tmp_path):
    cell = tmp_path / "cell.npy"
    np.save(cell, np.ones((2, 2, 2)))
    arrays = [["solve", cell, *SOLID], ["pack", cell, "-o", folder / "cells.h5"]]
    for path, attempts in ((copy, commands(copy, folder)), (cell, arrays)):
        os.chmod(path, 0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read every file")
        for arguments in attempts:
            assert_refused(run(*arguments), 3, os.path.basename(path), "no permission to read")
    assert not list(folder.iterdir())


def test_damaged_voxels_are_exit_3(run, folder, copy):
    with h5py.File(copy) as file:
        chunk = file["octants"].id.get_chunk_info(0)
    with open(copy, "r+b") as stream:
        stream.seek(chunk.byte_offset + chunk.size // 2)
        stream.write(bytes(8))
    attempts = [of for of in commands(copy, folder) if of[0] != "info"]
    for arguments in [*attempts, ["label", copy, "-o", folder / "a.h5", *SOLID, "--dry-run"]]:
        assert_refused(run(*arguments), 3, "copy.h5", "'octants' is damaged")
    assert {path.suffix for path in folder.iterdir()} == {".shards"}


@pytest.mark.parametrize("command", ["generate", "pack", "extract", "view", "label"])
def test_outputs_that_cannot_be_written(run, folder, units_file, tmp_path, command, monkeypatch):
    np.save(tmp_path / "cell.npy", np.ones((2, 2, 2)))
    ending = {"extract": "npy", "view": "png"}.get(command, "h5")

    def attempt(path):
        return run(*{
            "generate": ["generate", path, *FEW],
            "pack": ["pack", tmp_path / "cell.npy", "-o", path],
            "extract": ["extract", units_file, "--index", "0", "-o", path],
            "view": ["view", units_file, "--index", "0", "-o", path],
            "label": ["label", units_file, "-o", path, *SOLID],
        }[command])  # fmt: skip

    old, within = folder / f"old.{ending}", folder / f"folder.{ending}"
    old.write_text("old")
    within.mkdir()
    assert_refused(attempt(old), 2, old.name, "exists already", "--force")
    assert_refused(attempt(within), 2, within.name, "folder")
    assert_refused(attempt(folder / "missing" / old.name), 2, "missing", "make it first")
    assert_refused(attempt(folder / "new.txt"), 2, "new.txt", f".{ending}")
    monkeypatch.setattr("homog.files.os.access", lambda _, mode: mode != os.W_OK)
    assert_refused(attempt(folder / f"new.{ending}"), 2, f"new.{ending}", "read-only")
    assert {path.name for path in folder.iterdir()} == {old.name, within.name}
    assert old.read_text() == "old"


def test_a_full_disk_is_exit_1_and_leaves_the_old_file(run, folder, units_file, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = folder / "unit.npy"
    path.write_text("old")
    monkeypatch.setattr("homog.files.os.fsync", fail)
    outcome = run("extract", units_file, "--index", "0", "-o", path, "--force")
    assert_refused(outcome, 1, "No space left")
    assert path.read_text() == "old"
    assert list(folder.iterdir()) == [path]


def test_a_full_disk_ends_label_with_one_line_and_the_same_command_goes_on(
    run, folder, units_file, monkeypatch
):
    def fail(*_):
        raise OSError(28, "No space left on device")

    command = ["label", units_file, "-o", folder / "labelled.h5", *SOLID, "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("homog.labelling.write_dataset", fail)
        assert_refused(run(*command), 1, "No space left", "the same command continues")
    code, out, err = run(*command)
    assert (code, err) == (0, "")
    assert out == f"{folder / 'labelled.h5'}: 0 units labelled\n"  # again: none was lost


def test_check_names_the_units_that_are_wrong(run, copy):
    with h5py.File(copy, "a") as file:
        file["volume_fraction"][4] = 0.2345
        file["hash"][7] = 0
    code, out, err = run("check", copy, "--workers", "1")
    assert (code, err) == (3, "")
    assert out.splitlines() == [
        "unit 4: its volume fraction is another",
        "unit 7: its hash is not that of its voxels",
        f"{copy}: 12 units, 2 of them wrong",
    ]


def test_info_prints_the_summary(run, units_file):
    with Dataset(units_file) as dataset:
        assert run("info", units_file) == (0, dataset_summary(dataset) + "\n", "")


def test_info_of_properties_depends_on_the_seed_alone(run, units_file):
    options = ["--properties", "2", *SOLID, "--workers", "1"]
    code, first, err = run("info", units_file, *options)
    assert (code, err) == (0, "")
    assert "Zener ratio" in first
    assert run("info", units_file, *options)[1] == first
    assert run("info", units_file, *options, "--seed", "3")[1] != first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--properties", "0"], ["--properties"]),
        (["--properties", "2", "--E", "0"], ["E must be positive"]),
        (["--properties", "2", "--nu", "0.5"], ["nu must lie"]),
        (["--seed", "-1"], ["--seed"]),
        (["--workers", "0"], ["--workers"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_options_of_info_out_of_range(run, units_file, options, words):
    assert_refused(run("info", units_file, *options), 2, *words)


def test_origins_that_say_nothing_are_no_trouble(run, copy):
    with h5py.File(copy, "a") as file:
        file.attrs["origin"] = '{"rejected": [1, 2]}'
    code, out, err = run("info", copy)
    assert (code, err) == (0, "")
    assert "rejected" not in out


def test_view_writes_a_picture_of_the_units_it_names(run, folder, units_file):
    pytest.importorskip("matplotlib")
    path = folder / "units.png"
    code, out, err = run("view", units_file, "--index", "3", "--index", "-1", "-o", path)
    assert (code, out, err) == (0, f"{path}: units 3 11\n", "")
    assert path.read_bytes().startswith(b"\x89PNG")
    code, out, err = run("view", units_file, "--sample", "2", "--seed", "1", "-o", path, "--force")
    with Dataset(units_file) as dataset:
        chosen = [str(unit.index) for unit in dataset.sampled(2, 1)]
    assert (code, out, err) == (0, f"{path}: units {' '.join(chosen)}\n", "")
    assert_refused(run("view", units_file, "--sample", "0", "-o", path, "--force"), 2, "--sample")


def test_properties_of_units_without_labels_cannot_be_drawn(run, folder, units_file):
    pytest.importorskip("matplotlib")
    outcome = run("view", units_file, "--properties", "-o", folder / "plots.png")
    assert_refused(outcome, 3, "units.h5", "label")
    assert not list(folder.iterdir())


def test_view_without_matplotlib_says_what_to_install(run, folder, units_file, monkeypatch):
    monkeypatch.delitem(sys.modules, "homog.view", raising=False)
    monkeypatch.delattr("homog.view", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run("view", units_file, "-o", folder / "units.png")
    assert_refused(outcome, 2, "pictures need matplotlib", "pip install 'homog-toolkit[view]'")
    assert not list(folder.iterdir())
