"""The dataset file: what comes back, how others read it, and what is refused."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import homog
from homog.dataset import Dataset, content_hash, pack, unpack, write_dataset
from homog.errors import DataError
from homog.packing import packed_cells
from homog.units.family import unfold


@pytest.fixture
def dataset(units_file):
    with Dataset(units_file) as dataset:
        yield dataset


@pytest.fixture
def copy(units_file, tmp_path):
    """A dataset file that may be spoiled."""
    return shutil.copy(units_file, tmp_path / "copy.h5")


@pytest.fixture
def whole(tmp_path):
    """Two cells without symmetry, 3 x 4 x 5, and their file."""
    cells = np.random.default_rng(0).random((2, 3, 4, 5)) < 0.6
    path = tmp_path / "whole.h5"
    write_dataset(path, packed_cells(list(cells), ["first", "Ü second"]))
    return cells, path


def octants_of(cells):
    return unpack(cells.packed, tuple(n // 2 for n in cells.shape))


def test_what_was_written_comes_back(dataset, cells, plan):
    assert len(dataset) == plan.count
    assert (dataset.shape, dataset.cubic, dataset.stored_shape) == ((20,) * 3, True, (10,) * 3)
    assert dataset.writer == f"homog {homog.__version__}"
    assert dataset.origin == json.loads(json.dumps(cells.origin))
    assert dataset.families == cells.families
    for name, values in cells.columns.items():
        np.testing.assert_array_equal(dataset.column(name), values)
    octants = octants_of(cells)
    np.testing.assert_array_equal(dataset.octants[:], octants)
    np.testing.assert_array_equal(dataset.voxels[:], unfold(octants))
    assert dataset.octants.shape == (12, 10, 10, 10)
    assert dataset.voxels.shape == (12, 20, 20, 20)
    assert len(dataset.voxels) == 12
    assert dict(dataset.labels) == dict(dataset.scattered) == {}


def test_a_unit_has_what_its_columns_say(dataset, cells):
    for row, unit in enumerate(dataset):
        name, source, names = cells.families[cells.columns["family"][row]]
        assert (unit.index, unit.family, unit.source) == (row, name, source)
        assert list(unit.parameters) == list(names)
        assert (
            list(unit.parameters.values())
            == cells.columns["parameters"][row][: len(names)].tolist()
        )
        for name in ("level", "volume_fraction", "smallest_feature", "open_cell"):
            assert getattr(unit, name) == cells.columns[name][row]
        np.testing.assert_array_equal(unit.octant, octants_of(cells)[row])
        np.testing.assert_array_equal(unit.voxels, unfold(unit.octant))
        again = homog.unit_cell(unit.family, unit.parameters, unit.level, 20)
        np.testing.assert_array_equal(again, unit.voxels)
    assert dataset.family.tolist() == [unit.family for unit in dataset]
    assert dataset.source.tolist() == [unit.source for unit in dataset]
    np.testing.assert_array_equal(dataset.volume_fraction, [u.voxels.mean() for u in dataset])


def test_indices_slices_and_selections_agree(dataset, cells):
    octants = octants_of(cells)
    assert dataset[-1].index == 11
    np.testing.assert_array_equal(dataset.octants[3], octants[3])
    np.testing.assert_array_equal(dataset.octants[-2], octants[-2])
    for chosen in (
        slice(2, 9, 3),
        slice(None, None, -1),
        slice(5, 5),
        [7, 2, 2],
        np.arange(12) % 3 == 0,
    ):
        part = dataset.select(chosen)
        expected = np.arange(12)[chosen]
        assert len(part) == len(expected)
        assert [unit.index for unit in part] == expected.tolist()
        np.testing.assert_array_equal(dataset.octants[chosen], octants[chosen])
        np.testing.assert_array_equal(part.octants[:], octants[chosen])
        np.testing.assert_array_equal(part.volume_fraction, dataset.volume_fraction[chosen])
        np.testing.assert_array_equal(part.select(slice(1, 3)).volume_fraction,
                                      part.volume_fraction[1:3])  # fmt: skip
    for index in (12, -13):
        with pytest.raises(IndexError):
            dataset[index]
    with pytest.raises(TypeError, match="use select"):
        dataset[:2]


def test_rows_far_apart_are_read_as_rows_close_together_are(tmp_path):
    numbers = np.random.default_rng(0).random((300, 2, 1, 1)) < 0.5
    numbers[:, 0] = True
    write_dataset(tmp_path / "many.h5", packed_cells(list(numbers), [str(n) for n in range(300)]))
    with Dataset(tmp_path / "many.h5") as dataset:
        for rows in ([299, 0], [0, 150, 0, 299], list(range(10, 40))):
            np.testing.assert_array_equal(dataset.voxels[rows], numbers[rows])
            assert dataset.select(rows).family.tolist() == [str(row) for row in rows]


def test_samples_are_random_ordered_and_no_larger_than_the_dataset(dataset):
    part = dataset.sampled(5, seed=1)
    indices = [unit.index for unit in part]
    assert indices == sorted(set(indices))
    assert len(indices) == 5
    assert indices == [unit.index for unit in dataset.sampled(5, seed=1)]
    assert any(indices != [unit.index for unit in dataset.sampled(5, seed=n)] for n in (2, 3))
    assert len(dataset.sampled(100)) == 12


def test_h5py_alone_reads_the_layout_that_the_documents_describe(units_file, cells):
    with h5py.File(units_file) as file:
        half = file.attrs["shape"] // 2
        bits = np.unpackbits(file["octants"][3])[: half.prod()]
        octant = bits.reshape(half).astype(bool)  # C order
        name = file["families/name"][file["family"][3]].decode()
        names = file["families/parameters"][file["family"][3]].decode().split()
        assert file.attrs["format"] == "homog dataset"
        assert file.attrs["version"] == 1
        head = f"octant {' '.join(map(str, file.attrs['shape']))}\n".encode()
        digest = hashlib.blake2b(head + file["octants"][3].tobytes(), digest_size=16).digest()
        assert file["hash"][3].tobytes() == digest
        types = {key: (file[key].dtype.str, file[key].shape) for key in file if key != "families"}
    np.testing.assert_array_equal(octant, octants_of(cells)[3])
    for axis in range(3):
        octant = np.concatenate([octant, np.flip(octant, axis)], axis)
    np.testing.assert_array_equal(octant, unfold(octants_of(cells)[3]))
    assert (name, tuple(names)) == cells.families[cells.columns["family"][3]][::2]
    width = cells.columns["parameters"].shape[1]
    assert types == {
        "octants": ("|u1", (12, 125)),
        "volume_fraction": ("<f8", (12,)),
        "smallest_feature": ("<i2", (12,)),
        "open_cell": ("|b1", (12,)),
        "family": ("<i4", (12,)),
        "level": ("<f8", (12,)),
        "parameters": ("<f8", (12, width)),
        "hash": ("|u1", (12, 16)),
    }


def test_whole_cells_of_any_shape(whole):
    cells, path = whole
    with Dataset(path) as dataset:
        assert (dataset.cubic, dataset.shape, dataset.stored_shape) == (False, (3, 4, 5), (3, 4, 5))
        np.testing.assert_array_equal(dataset.voxels[:], cells)
        np.testing.assert_array_equal(dataset[1].voxels, cells[1])
        assert dataset[1].family == "Ü second"
        assert repr(dataset) == "<Dataset whole.h5: 2 unit cells of 3 x 4 x 5 voxels>"
        for attempt in (lambda: dataset.octants, lambda: dataset[0].octant):
            with pytest.raises(DataError, match="not all cells of the file are cubic"):
                attempt()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(
            np.unpackbits(file["cells"][0])[:60].reshape(3, 4, 5).astype(bool), cells[0]
        )


def test_packing_and_unpacking_are_inverse():
    for shape in ((1, 1, 1), (3, 4, 5), (2, 2, 2), (4, 3, 3, 3)):
        voxels = np.random.default_rng(0).random(shape) < 0.5
        np.testing.assert_array_equal(unpack(pack(voxels), shape[-3:]), voxels)
    assert pack(np.ones((1, 1, 1)))[0] == 128  # the first bit is the highest


def test_the_hash_tells_voxels_shapes_and_kinds_apart():
    bits = pack(np.ones((2, 2, 2)))
    other = bits.copy()
    other[0] ^= 1
    hashes = {
        content_hash(*arguments).tobytes()
        for arguments in [
            (bits, (2, 2, 2), False),
            (other, (2, 2, 2), False),
            (bits, (4, 2, 1), False),
            (bits, (2, 2, 2), True),
        ]
    }
    assert len(hashes) == 4


def test_equal_content_gives_equal_bytes(cells, units_file, tmp_path):
    write_dataset(tmp_path / "again.h5", cells)
    assert (tmp_path / "again.h5").read_bytes() == units_file.read_bytes()


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(copy, whole, cells, function, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = Path(copy).read_bytes()
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(copy, packed_cells(list(whole[0]), ["a", "b"]))
    monkeypatch.undo()
    assert Path(copy).read_bytes() == before
    assert {path.name for path in copy.parent.iterdir()} == {"copy.h5", "whole.h5"}


def test_further_groups_come_back_as_labels(cells, tmp_path):
    labels = {"E": np.arange(12.0), "C": np.zeros((12, 6, 6))}
    write_dataset(tmp_path / "labelled.h5", cells, {"labels": ({"nu": 0.3}, labels)})
    with Dataset(tmp_path / "labelled.h5") as dataset:
        assert set(dataset.labels) == {"E", "C"}
        assert dataset.labels.attributes == {"nu": 0.3}
        np.testing.assert_array_equal(dataset.select([4, 2]).labels["E"], [4.0, 2.0])
        assert not dataset.scattered


def test_what_was_read_stays_after_closing(units_file):
    with Dataset(units_file) as dataset:
        unit = dataset[0]
    assert unit.voxels.mean() == unit.volume_fraction


def replaced(file, name, values):
    del file[name]
    file[name] = values


def altered(**attributes):
    return lambda file: file.attrs.update(attributes)


def column(name, values):
    return lambda file: replaced(file, name, values)


def without(name):
    def spoil(file):
        del file[name]

    return spoil


def many_parameters(file):
    replaced(
        file["families"],
        "parameters",
        np.full(len(file["families/name"]), b"a b c d e f g h i j k l"),
    )


def few_names(file):
    replaced(file["families"], "name", file["families/name"][:-1])


def no_units(file):
    for name in list(file):
        if name != "families":
            replaced(file, name, file[name][:0])


SPOILED = {
    "other format": (altered(format="another"), "not a dataset of homog"),
    "no format": (lambda file: file.attrs.clear(), "not a dataset of homog"),
    "newer": (altered(version=2), "version 2 of the format; update homog"),
    "version 0": (altered(version=0), "version 0 of the format"),
    "version as text": (altered(version="one"), "not a dataset file of homog"),
    "no shape": (lambda file: file.attrs.pop("shape"), "not a dataset file of homog"),
    "shape as text": (altered(shape="twenty"), "not a dataset file of homog"),
    "shape of two": (altered(shape=[20, 20]), "shape of three positive numbers"),
    "negative shape": (altered(shape=[-20, 20, 20]), "shape of three positive numbers"),
    "huge shape": (altered(shape=[20, 20, 10**6]), "shape of three positive numbers"),
    "other shape": (altered(shape=[22, 22, 22]), "bytes of voxels a unit"),
    "odd shape": (altered(shape=[21, 21, 21]), "octants of an even cube"),
    "no cube": (altered(shape=[20, 10, 40]), "octants of an even cube"),
    "origin no JSON": (altered(origin="{"), "not a dataset file of homog"),
    "origin a list": (altered(origin="[]"), "'origin' is no JSON object"),
    "no voxels": (without("octants"), "expected voxels as one of octants, cells, got 0"),
    "no column": (without("level"), "level"),
    "column of text": (column("level", np.full(12, b"a")), "'level' is not one of 12 units"),
    "column of another length": (column("level", np.zeros(11)), "'level' is not one of 12 units"),
    "column of two dimensions": (column("level", np.zeros((12, 1))), "'level' is not one of 12"),
    "family too large": (column("family", np.full(12, 9999)), "'family' leaves the list"),
    "family negative": (column("family", np.full(12, -1)), "'family' leaves the list"),
    "fraction nan": (column("volume_fraction", np.full(12, np.nan)), "'volume_fraction' leaves"),
    "fraction 2": (column("volume_fraction", np.full(12, 2.0)), "'volume_fraction' leaves"),
    "more parameters": (many_parameters, "'parameters' has too few values"),
    "fewer names": (few_names, "not a dataset file of homog"),
    "no families": (without("families"), "families"),
    "families no group": (column("families", np.zeros(3)), "not a dataset file of homog"),
    "labels no group": (lambda file: file.create_dataset("labels", data=[1.0]), "not a dataset"),
    "labels too short": (lambda file: file.create_dataset("labels/E", data=[1.0]), "labels/E is"),
    "no units": (no_units, "holds no units"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_files_that_are_no_dataset_are_refused(copy, name):
    spoil, match = SPOILED[name]
    with h5py.File(copy, "a") as file:
        spoil(file)
    with pytest.raises(DataError, match=match):
        Dataset(copy)


def test_damage_within_the_voxels_is_found_when_they_are_read(copy):
    with h5py.File(copy) as file:
        chunk = file["octants"].id.get_chunk_info(0)
    with open(copy, "r+b") as stream:
        stream.seek(chunk.byte_offset + chunk.size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 16]))
    with Dataset(copy) as dataset:
        for attempt in (lambda: dataset[3], lambda: dataset.octants[:], lambda: dataset.packed(2)):
            with pytest.raises(DataError, match="'octants' is damaged; copy or write"):
                attempt()
        assert len(dataset.volume_fraction) == 12


def test_columns_beyond_the_free_memory_are_refused(units_file, monkeypatch):
    monkeypatch.setattr("homog.dataset.available_memory", lambda: 1000)
    with pytest.raises(DataError, match="columns of 12 units exceed the free memory"):
        Dataset(units_file)


def test_octants_and_cells_in_one_file_are_refused(copy):
    with h5py.File(copy, "a") as file:
        file["cells"] = np.zeros((12, 1000), np.uint8)
    with pytest.raises(DataError, match="got 2 of them"):
        Dataset(copy)
