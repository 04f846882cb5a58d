"""Image stacks: axes, thresholds, and files that claim what they do not hold."""

import struct
import zlib

import numpy as np
import pytest

tifffile = pytest.importorskip("tifffile", reason="needs the extra files")

from homog import stacks  # noqa: E402
from homog.errors import DataError, ParameterError  # noqa: E402

GREY = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)  # z, y, x
SOLID = np.array([[[GREY[z, y, x] >= 128 for z in range(3)] for y in range(4)] for x in range(5)])


def raw(path, values):
    path.write_bytes(np.ascontiguousarray(values).tobytes())
    return path


def tiff(path, values, **options):
    tifffile.imwrite(path, values, photometric="minisblack", **options)
    return path


@pytest.mark.parametrize("dtype", stacks.TYPES)
def test_raw_has_x_fastest_and_z_slowest(dtype, tmp_path):
    grey = (GREY // 2).astype(np.dtype(dtype).newbyteorder("<"))
    path = raw(tmp_path / "scan.raw", grey)
    found = stacks.read_raw(path, (5, 4, 3), dtype, threshold=64)
    np.testing.assert_array_equal(found, SOLID)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"imagej": True},
        {"imagej": True, "truncate": True},
    ],
    ids=str,
)
def test_tiff_pages_are_slices_along_z(options, tmp_path):
    """However it is stored: pages, one page with the rest behind it, compressed."""
    path = tiff(tmp_path / "scan.tif", GREY, **options)
    np.testing.assert_array_equal(stacks.read_tiff(path, 128), SOLID)


@pytest.mark.parametrize("values", [SOLID.T, SOLID.T.astype(np.uint8), SOLID.T.astype(np.float32)])
def test_zeros_and_ones_need_no_threshold(values, tmp_path):
    path = tiff(tmp_path / "mask.tiff", values)
    np.testing.assert_array_equal(stacks.read_tiff(path), SOLID)


def test_one_slice_is_a_stack_too(tmp_path):
    path = tiff(tmp_path / "slice.tif", GREY[0])
    np.testing.assert_array_equal(stacks.read_tiff(path, 128), SOLID[:, :, :1])


def test_thresholds_may_be_negative_as_hounsfield_units_are(tmp_path):
    path = raw(tmp_path / "scan.raw", GREY.astype("<i2") - 1000)
    found = stacks.read_raw(path, (5, 4, 3), "int16", threshold=-1000 + 128)
    np.testing.assert_array_equal(found, SOLID)


def test_grey_values_without_a_threshold_are_refused(tmp_path):
    with pytest.raises(DataError, match="--threshold"):
        stacks.read_raw(raw(tmp_path / "scan.raw", GREY), (5, 4, 3), "uint8")
    with pytest.raises(ParameterError, match="finite"):
        stacks.read_raw(tmp_path / "scan.raw", (5, 4, 3), "uint8", np.nan)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    grey = np.full((2, 2, 2), np.nan, "<f4")
    with pytest.raises(DataError, match="finite"):
        stacks.read_raw(raw(tmp_path / "scan.raw", grey), (2, 2, 2), "float32", 1.0)


@pytest.mark.parametrize("shape", [(5, 4, 2), (5, 4, 4), (2**31, 2**31, 2**31)])
def test_raw_of_another_size_is_refused(shape, tmp_path):
    with pytest.raises(DataError, match="bytes, the file has 60"):
        stacks.read_raw(raw(tmp_path / "scan.raw", GREY), shape, "uint8", 1)


@pytest.mark.parametrize(("shape", "dtype"), [((5, 4, 0), "uint8"), ((5, 4, 3), "object")])
def test_shapes_and_types_that_mean_nothing(shape, dtype, tmp_path):
    with pytest.raises(ParameterError, match="expected one of uint8"):
        stacks.read_raw(raw(tmp_path / "scan.raw", GREY), shape, dtype, 1)


def test_colours_channels_and_slices_of_two_sizes_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match="grey"):
        stacks.read_tiff(tmp_path / "colour.tif", 1)
    channels = np.zeros((3, 2, 4, 5), np.uint8)
    tifffile.imwrite(tmp_path / "channels.tif", channels, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(DataError, match="channels"):
        stacks.read_tiff(tmp_path / "channels.tif", 1)
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as file:
        file.write(GREY[0], contiguous=False)
        file.write(GREY[0, :3], contiguous=False)
    with pytest.raises(DataError, match="one size"):
        stacks.read_tiff(tmp_path / "sizes.tif", 1)


@pytest.mark.parametrize("kept", [0, 4, 100, -700])
def test_damaged_and_cut_files_are_bad_data(kept, tmp_path):
    path = tiff(tmp_path / "scan.tif", np.tile(GREY, (1, 8, 8)), metadata=None, contiguous=False)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError):
        stacks.read_tiff(path, 1)


def test_other_files_that_metadata_name_are_not_read(tmp_path):
    """A set of OME-TIFF files: only the file that was named is read."""
    other = tmp_path / "other.ome.tif"
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="5" '
        'SizeY="4" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="C:0" SamplesPerPixel="1"/>'
        '<TiffData IFD="0" FirstZ="0"><UUID FileName="scan.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData IFD="0" FirstZ="1"><UUID FileName="other.ome.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    for path in (tmp_path / "scan.ome.tif", other):
        tiff(path, GREY[0], description=xml, metadata=None)
    assert stacks.read_tiff(tmp_path / "scan.ome.tif", 128).shape == (5, 4, 1)


@pytest.mark.parametrize("count", [4, 10**12, 0, -3])
def test_slices_that_only_imagej_knows_of_have_to_be_there(count, tmp_path):
    path = tiff(tmp_path / "scan.tif", GREY, imagej=True, truncate=True, metadata=None)
    told = b"ImageJ=1.11a\nimages=%d\nslices=3\n"
    content = path.read_bytes()
    old = content[content.index(b"ImageJ=") :].split(b"\0")[0]
    new = told % count
    assert len(new) <= len(old)
    path.write_bytes(content.replace(old, new.ljust(len(old), b"\n")))
    with pytest.raises(DataError, match="truncated"):
        stacks.read_tiff(path, 1)


def test_claims_beyond_the_memory_are_refused_before_it_is_taken(tmp_path, monkeypatch):
    path = tiff(tmp_path / "scan.tif", np.zeros((2, 100, 100), np.uint8), compression="zlib")
    monkeypatch.setattr("homog.formats.available_memory", lambda: 10_000)
    with pytest.raises(DataError, match="GB of memory"):
        stacks.read_tiff(path, 1)
    with pytest.raises(DataError, match="GB of memory"):
        stacks.read_raw(raw(tmp_path / "scan.raw", np.zeros(9000, "u1")), (30, 30, 10), "uint8", 1)


def huge_slice():
    """A TIFF of 200 bytes that claims a compressed slice of 60,000 x 60,000."""
    packed = zlib.compress(b"")
    tags = [
        (256, 3, 60_000), (257, 3, 60_000), (258, 3, 8), (259, 3, 8), (262, 3, 1),
        (273, 4, 8 + 2 + 9 * 12 + 4), (277, 3, 1), (278, 3, 60_000), (279, 4, len(packed)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + packed


def test_a_huge_slice_in_a_small_file_is_bad_data(tmp_path, monkeypatch):
    monkeypatch.setattr("homog.formats.available_memory", lambda: 2**30)
    (tmp_path / "scan.tif").write_bytes(huge_slice())
    with pytest.raises(DataError, match="GB of memory"):
        stacks.read_tiff(tmp_path / "scan.tif", 1)


def test_missing_files_are_wrong_usage(tmp_path):
    with pytest.raises(ParameterError, match="no such file"):
        stacks.read_tiff(tmp_path / "scan.tif", 1)
    with pytest.raises(ParameterError, match="no such file"):
        stacks.read_raw(tmp_path / "scan.raw", (1, 1, 1), "uint8", 1)
