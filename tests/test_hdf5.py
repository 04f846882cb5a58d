"""HDF5 files from elsewhere: whatever leads out of them, lies or is damaged is refused."""

import contextlib
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from homog.dataset import Dataset
from homog.errors import DataError, ParameterError
from homog.hdf5 import image, open_checked


@pytest.fixture
def copy(units_file, tmp_path):
    """A dataset file that may be spoiled."""
    return shutil.copy(units_file, tmp_path / "copy.h5")


def soft_link(file):
    file["more"] = h5py.SoftLink("/hash")


def external_link(file):
    file["labels"] = h5py.ExternalLink("/etc/hosts", "/")


def link_in_a_group(file):
    file["families"]["more"] = h5py.ExternalLink("other.h5", "/data")


def virtual_dataset(file):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "data", (4,))
    file.create_virtual_dataset("more", layout)


def external_storage(file):
    file.create_dataset("more", (4,), "f8", external=[("/etc/hosts", 0, 32)])


def plugin(file):
    file.create_dataset("more", data=np.zeros(100), compression="lzf")


def unallocated_chunks(file):
    file.create_dataset("more", (10**12,), "f8", chunks=(1000,))


def unallocated_block(file):
    file.create_dataset("more", (10**12,), "f8")


def text_of_any_length(file):
    file.create_dataset("more", data=["a", "b"], dtype=h5py.string_dtype())


def structured(file):
    file.create_dataset("more", data=np.zeros(3, dtype=[("a", float)]))


def references(file):
    file.create_dataset("more", data=[file["hash"].ref], dtype=h5py.ref_dtype)


def no_dimension(file):
    file["more"] = 1.0


def null(file):
    file["more"] = h5py.Empty("f8")


def deep_group(file):
    file.create_group("more/deeper")


def cycle(file):
    file.create_group("more")["again"] = file["/"]


def named_type(file):
    file["more"] = np.dtype("f8")


SPOILED = [
    (soft_link, "'more' is a link to elsewhere, which is never followed"),
    (external_link, "'labels' is a link to elsewhere"),
    (link_in_a_group, "'more' is a link to elsewhere"),
    (virtual_dataset, "'more' lies in other files, which are never read"),
    (external_storage, "'more' lies in other files, which are never read"),
    (plugin, "'more' is compressed by a plugin, which is never loaded"),
    (unallocated_chunks, "'more' claims data that the file does not hold"),
    (unallocated_block, "'more' claims data that the file does not hold"),
    (text_of_any_length, "'more': expected an array of numbers or bytes"),
    (structured, "'more': expected an array of numbers or bytes"),
    (references, "'more': expected an array of numbers or bytes"),
    (no_dimension, "'more': expected an array of numbers or bytes"),
    (null, "'more': expected an array of numbers or bytes"),
    (deep_group, "'deeper' is neither a dataset nor a group of datasets"),
    (cycle, "'again' is neither a dataset nor a group of datasets"),
    (named_type, "'more' is neither a dataset nor a group of datasets"),
]


@pytest.mark.parametrize(
    ("spoil", "match"), SPOILED, ids=lambda value: getattr(value, "__name__", "")
)
def test_files_that_lead_elsewhere_or_lie_are_refused(copy, spoil, match):
    with h5py.File(copy, "a") as file:
        spoil(file)
    with pytest.raises(DataError, match=match):
        Dataset(copy)
    with h5py.File(copy, "a"):  # was closed: else it could not be opened for writing
        pass


def test_chunks_that_unpack_to_a_lot_are_refused(units_file, monkeypatch):
    monkeypatch.setattr("homog.hdf5.LARGEST_CHUNK", 1000)  # bytes
    with pytest.raises(DataError, match="claims data that the file does not hold"):
        Dataset(units_file)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_truncated_files_are_refused(copy, share):
    os.truncate(copy, int(share * os.path.getsize(copy)))
    with pytest.raises(DataError, match="truncated HDF5 file"):
        Dataset(copy)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_refused_or_read_without_another_error(copy, seed):
    rng, content = np.random.default_rng(seed), bytearray(Path(copy).read_bytes())
    for place in rng.integers(8, len(content), 3 ** (seed % 5)):
        content[place] ^= 1 << rng.integers(8)
    Path(copy).write_bytes(content)
    with contextlib.suppress(DataError), Dataset(copy) as dataset:
        for unit in dataset:
            assert unit.voxels.shape == dataset.shape
        assert dataset.source.shape == (len(dataset),)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty file"),
        (b"\x93NUMPY\x01\x00", "expected an HDF5 file, got another format"),
        (b"\x89HDF\r\n\x1a\n", "damaged or truncated HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "damaged or truncated HDF5 file"),
    ],
)
def test_other_content_is_refused(tmp_path, content, match):
    path = tmp_path / "other.h5"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        Dataset(path)


def test_paths_that_lead_to_no_file_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="no such file"):
        Dataset(tmp_path / "missing.h5")
    with pytest.raises(ParameterError, match="got a folder"):
        Dataset(tmp_path)
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(DataError, match="FIFO"):
        Dataset(tmp_path / "pipe.h5")
    (tmp_path / "loop.h5").symlink_to(tmp_path / "loop.h5")
    with pytest.raises(DataError, match="loop of symbolic links"):
        Dataset(tmp_path / "loop.h5")


def test_a_valid_symlink_and_a_path_with_spaces_are_fine(units_file, tmp_path):
    path = tmp_path / "with space Ü.h5"
    path.symlink_to(units_file)
    with Dataset(path) as dataset:
        assert len(dataset) == 12


def test_images_hold_what_was_given_and_equal_content_gives_equal_bytes(tmp_path):
    columns = {
        "numbers": np.arange(600),
        "empty": np.zeros((0, 3)),
        "names": np.array([b"a", b"bc"]),
    }
    attributes = {"text": "x", "shape": np.array([1, 2])}
    first = image(attributes, columns, {"group": ({"unit": "m"}, {"rows": np.eye(3)})})
    assert bytes(first) == bytes(
        image(attributes, columns, {"group": ({"unit": "m"}, {"rows": np.eye(3)})})
    )
    (tmp_path / "file.h5").write_bytes(first)
    with open_checked(tmp_path / "file.h5") as file:
        for name, values in columns.items():
            np.testing.assert_array_equal(file[name][()], values)
        assert file.attrs["text"] == "x"
        assert file["group"].attrs["unit"] == "m"
        np.testing.assert_array_equal(file["group/rows"], np.eye(3))
        assert file["numbers"].fletcher32
