"""Cells from elsewhere as a dataset."""

import numpy as np
import pytest

from homog.cell import is_open
from homog.dataset import Dataset, unpack, write_dataset
from homog.errors import DataError, ParameterError
from homog.packing import packed_cells, packed_files
from homog.thickness import smallest_feature
from homog.units import unit_cell


def cubic():
    return unit_cell("octet", {"width.octahedral": 0.0}, 0.1, 12)


@pytest.fixture
def files(tmp_path):
    """Two random cells, 4 x 5 x 6."""
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"cell{seed}.npy")
        np.save(paths[-1], np.random.default_rng(seed).random((4, 5, 6)) < 0.6)
    return paths


def test_cubic_cells_are_stored_as_octants(tmp_path):
    cells = packed_cells([cubic(), ~cubic()], ["one", "two"])
    assert (cells.cubic, cells.shape, cells.packed.shape) == (True, (12, 12, 12), (2, 27))
    np.testing.assert_array_equal(unpack(cells.packed[1], (6, 6, 6)), ~cubic()[:6, :6, :6])
    write_dataset(tmp_path / "cells.h5", cells)
    with Dataset(tmp_path / "cells.h5") as dataset:
        np.testing.assert_array_equal(dataset[0].voxels, cubic())
        np.testing.assert_array_equal(dataset[1].voxels, ~cubic())


def test_one_cell_that_is_not_cubic_and_all_are_stored_whole():
    other = cubic()
    other[3, 4, 5] ^= True
    cells = packed_cells([cubic(), other], ["one", "two"])
    assert not cells.cubic
    np.testing.assert_array_equal(unpack(cells.packed[1], (12, 12, 12)), other)


def test_odd_cells_have_no_octants():
    cells = packed_cells([np.ones((3, 3, 3), dtype=bool)], ["odd"])
    assert not cells.cubic
    assert unpack(cells.packed[0], (3, 3, 3)).all()


def test_columns_are_measured(files):
    cells = packed_files(files)
    assert cells.families == [(str(path), "files", ()) for path in files]
    assert cells.origin == {"command": "pack"}
    for row, path in enumerate(files):
        voxels = np.load(path)
        assert cells.columns["volume_fraction"][row] == voxels.mean()
        assert cells.columns["smallest_feature"][row] == smallest_feature(voxels)
        assert cells.columns["open_cell"][row] == is_open(voxels)
        assert cells.columns["family"][row] == row
        assert np.isnan(cells.columns["level"][row])


def test_grey_values_become_solid_at_the_threshold(tmp_path):
    grey = np.random.default_rng(0).random((4, 4, 5))
    np.save(tmp_path / "grey.npy", grey)
    calls = []
    cells = packed_files([tmp_path / "grey.npy"], 0.3, progress=lambda: calls.append(1))
    np.testing.assert_array_equal(unpack(cells.packed[0], grey.shape), grey >= 0.3)
    assert calls == [1]


def test_files_that_do_not_fit_are_refused_by_name(files, tmp_path):
    np.save(tmp_path / "other.npy", np.ones((4, 4, 4)))
    np.save(tmp_path / "grey.npy", np.full((4, 5, 6), 0.5))
    with pytest.raises(DataError, match=r"other\.npy: shape \(4, 4, 4\) differs from \(4, 5, 6\)"):
        packed_files([*files, tmp_path / "other.npy"])
    with pytest.raises(DataError, match=r"grey\.npy: expected only 0 .* and 1"):
        packed_files([*files, tmp_path / "grey.npy"])
    with pytest.raises(ParameterError, match=r"missing\.npy: no such file"):
        packed_files([tmp_path / "missing.npy"])
