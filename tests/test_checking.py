"""Checks of a dataset: a sound one passes, and every flaw is found."""

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from homog.checking import check_dataset
from homog.dataset import Cells, Dataset, pack, unpack, write_dataset
from homog.packing import packed_cells


def problems(path, **options):
    with Dataset(path) as dataset:
        return check_dataset(dataset, **options)


def with_octant(cells, row, octant, path):
    """The file with one octant changed and its other columns left as they are."""
    packed = cells.packed.copy()
    packed[row] = pack(octant)
    write_dataset(path, replace(cells, packed=packed))
    return path


def test_generated_units_are_sound(units_file):
    calls = []
    assert problems(units_file, progress=lambda: calls.append(1)) == []
    assert len(calls) == 12


def test_whole_cells_are_checked_too(tmp_path):
    cell = np.zeros((4, 5, 6), dtype=bool)
    cell[1], cell[:, 1, :] = True, True
    loose = cell.copy()
    loose[3, 3, 3] = True
    cut = cell.copy()
    cut[1, 3] = cut[1, :, 2] = cut[:, 1, 2] = False  # spans x and not all others
    write_dataset(tmp_path / "cells.h5", packed_cells([cell, loose, cut, cell], list("abcd")))
    found = problems(tmp_path / "cells.h5")
    assert (1, "its solid falls into parts") in found
    assert (2, "its solid does not span all axes") in found
    assert (3, "the same as another unit") in found
    assert not [problem for index, problem in found if index == 0]


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("hash", 0, "its hash is not that of its voxels"),
        ("volume_fraction", 0.123, "its volume fraction is another"),
        ("smallest_feature", 77, "its smallest feature is "),
        ("open_cell", None, "its void is open or closed otherwise"),
    ],
)
def test_columns_that_are_wrong_are_found(units_file, tmp_path, column, value, match):
    path = shutil.copy(units_file, tmp_path / "copy.h5")
    with h5py.File(path, "a") as file:
        file[column][4] = ~file[column][4] if value is None else value
    ((index, problem),) = problems(path)
    assert index == 4
    assert problem.startswith(match)


def test_voxels_that_are_not_those_of_the_columns_are_found(cells, tmp_path):
    octant = np.zeros((10, 10, 10), dtype=bool)
    octant[0, 0, 0] = True
    found = problems(with_octant(cells, 2, octant, tmp_path / "copy.h5"))
    assert {index for index, _ in found} == {2}
    texts = {problem for _, problem in found}
    assert "its volume fraction is another" in texts
    assert "its volume fraction leaves 0.05 to 0.4" in texts
    assert "its solid does not span all axes" in texts
    assert "it is not cubic" not in texts
    octant = np.zeros((10, 10, 10), dtype=bool)
    octant[:, :2, :2] = octant[5, 5, 5] = True  # a bar along x, and a loose voxel
    found = problems(with_octant(cells, 2, octant, tmp_path / "copy.h5"))
    assert (2, "it is not cubic") in found
    assert (2, "its solid falls into parts") in found


def test_duplicates_are_found(cells, tmp_path):
    octants = unpack(cells.packed, (10, 10, 10))
    place = tuple(np.argwhere(octants[5])[0])
    almost = octants[5].copy()
    almost[place] = False
    for changed, problem in (
        (octants[5], "the same as another unit"),
        (np.flip(octants[5]), "nearly the same as another unit"),  # shifted by half a cell
        (almost, "nearly the same as another unit"),
    ):
        found = problems(with_octant(cells, 9, changed, tmp_path / "copy.h5"))
        assert (9, problem) in found
        assert not [text for index, text in found if index != 9]


def test_cells_from_files_may_have_any_volume_fraction(tmp_path):
    cells = packed_cells([np.ones((4, 4, 4), dtype=bool)], ["solid"])
    assert isinstance(cells, Cells)
    write_dataset(tmp_path / "solid.h5", cells)
    assert problems(tmp_path / "solid.h5") == []
