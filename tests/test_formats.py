"""Files from strangers: each bad one gets its message, each good one its exact values."""

import io
import os
import pickle
import signal
import socket
import struct
import tokenize
import warnings
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from homog import formats
from homog.errors import DataError, ParameterError
from homog.formats import available_memory, read_array

CELL = (np.arange(24) % 5 % 2).reshape(2, 3, 4)
FLOATS = np.random.default_rng(0).standard_normal((3, 4, 5))


def npy(array, **options):
    """The bytes that numpy.save writes."""
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(save=np.savez, **arrays):
    """The bytes that numpy.savez writes."""
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def archive(members, compression=zipfile.ZIP_STORED):
    """A zip of (name, bytes) pairs."""
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", compression) as z:
        for name, data in members:
            z.writestr(name, data)
    return stream.getvalue()


def header(descr="'<f8'", shape="(2,)", order="False", version=1, data=bytes(16)):
    """A .npy file with a header as a stranger may write it."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n"
    return raw_header(text.encode(), version) + data


def raw_header(text, version=1):
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text


def patched(data, old, new):
    """``data`` with bytes that occur in it replaced."""
    assert old in data
    return data.replace(old, new)


def overwritten(data, start, count):
    """``data`` with ``count`` bytes of 0xff from ``start`` on."""
    changed = bytearray(data)
    for i in range(count):
        changed[start + i] = 0xFF
    return bytes(changed)


def encrypted():
    """An archive whose two records of its member carry the flag of encryption."""
    data = bytearray(npz(a=CELL))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def claiming(data, size):
    """An archive of one member that says it unpacks to ``size`` bytes."""
    changed = bytearray(data)
    at = data.index(b"PK\x01\x02") + 24
    changed[at : at + 4] = size.to_bytes(4, "little")
    return bytes(changed)


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def assert_same(read, saved):
    """Equal to the last bit, C-contiguous and in native byte order."""
    assert read.shape == saved.shape
    assert read.dtype == saved.dtype.newbyteorder("=")
    assert read.dtype.isnative
    assert read.flags.c_contiguous
    assert read.tobytes() == saved.astype(read.dtype).tobytes()


GOOD_ARRAYS = {
    "bool": CELL.astype(bool),
    "uint8": CELL.astype(np.uint8),
    "int64": CELL,
    "float16": CELL.astype(np.float16),
    "float64": FLOATS,
    "longdouble": CELL.astype(np.longdouble),
    "fortran-order": np.asfortranarray(FLOATS),
    "big-endian": FLOATS.astype(">f8"),
    "big-endian-int": CELL.astype(">i2"),
    "big-endian-fortran": np.asfortranarray(FLOATS.astype(">f4")),
    "nan-and-inf": np.array([np.nan, -np.nan, np.inf, -0.0, 5e-324]),
    "0-d": np.array(1.5),
    "1-d": CELL.ravel(),
    "2-d": CELL[0],
    "4-d": CELL[None],
    "zero-length": np.zeros((0, 3, 3)),
    "longer-than-the-first-read": np.arange(20_000.0),
    "longer-than-a-chunk": np.arange(3 * 2**17 + 5, dtype=np.float64),
}


@pytest.mark.parametrize("array", GOOD_ARRAYS.values(), ids=GOOD_ARRAYS)
def test_good_array_survives_each_format(tmp_path, array):
    assert_same(read_array(write(tmp_path, "a.npy", npy(array))), array)
    assert_same(read_array(write(tmp_path, "a.npz", npz(a=array))), array)
    packed = npz(np.savez_compressed, a=array)
    assert_same(read_array(write(tmp_path, "b.npz", packed), "a"), array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_each_npy_version_is_read(tmp_path, version):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, FLOATS, version=version)
    assert_same(read_array(write(tmp_path, "a.npy", stream.getvalue())), FLOATS)


@pytest.mark.filterwarnings("error")
def test_header_from_python_2_is_read_without_a_warning(tmp_path):
    data = header(shape="(2L,)", data=FLOATS[0, 0, :2].tobytes())
    assert_same(read_array(write(tmp_path, "a.npy", data)), FLOATS[0, 0, :2])


@pytest.mark.parametrize(
    "name", ["a b.npy", "Zelle-ä-细胞.npy", "UPPER.NPY", "a\nb.npy", "a.b.npy"]
)
def test_unusual_names_are_read(tmp_path, name):
    path = write(tmp_path, name, npy(CELL))
    assert_same(read_array(path), CELL)
    assert_same(read_array(str(path)), CELL)


def test_valid_symlink_is_read(tmp_path):
    (tmp_path / "link.npy").symlink_to(write(tmp_path, "data.bin", npy(FLOATS)))
    assert_same(read_array(tmp_path / "link.npy"), FLOATS)


def test_key_chooses_in_an_archive(tmp_path):
    path = write(tmp_path, "a.npz", npz(cell=CELL, other=FLOATS, **{"group/deep": CELL[0]}))
    assert_same(read_array(path, "other"), FLOATS)
    assert_same(read_array(path, key="group/deep"), CELL[0])


def test_members_that_are_no_arrays_do_not_count(tmp_path):
    path = write(tmp_path, "a.npz", archive([("read..me", b"text"), ("a.npy", npy(CELL))]))
    assert_same(read_array(path), CELL)


def test_result_is_independent_of_the_file(tmp_path):
    path = write(tmp_path, "a.npy", npy(CELL))
    array = read_array(path)
    array[:] = 7
    assert path.read_bytes() == npy(CELL)


# --- exit 2: wrong usage ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("missing.npy", r"no such file.*check the path"),
        ("missing/a.npy", r"no such file"),
        ("a.npy/b.npy", r"no such file"),
        ("x" * 300 + ".npy", r"no such file"),
        ("folder.npy", r"got a folder; name a file in it"),
        ("a.h5", r"\.npy or \.npz, got '\.h5'"),
        ("a.txt", r"\.npy or \.npz, got '\.txt'"),
        ("a", r"\.npy or \.npz, got ''"),
        ("dangling.npy", r"symbolic link to nothing"),
    ],
    ids=[
        "missing",
        "missing-folder",
        "file-as-folder",
        "name-too-long",
        "folder",
        "h5",
        "txt",
        "no-ending",
        "dangling-symlink",
    ],
)
def test_wrong_path_is_refused(tmp_path, name, match):
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "dangling.npy").symlink_to(tmp_path / "nothing.npy")
    for exists in ("a.npy", "a.h5", "a.txt", "a"):
        write(tmp_path, exists, npy(CELL))
    with pytest.raises(ParameterError, match=match) as caught:
        read_array(tmp_path / name)
    assert_one_line(caught, tmp_path)


def test_key_for_npy_is_refused(tmp_path):
    path = write(tmp_path, "a.npy", npy(CELL))
    with pytest.raises(ParameterError, match=r"without a name; leave the key out"):
        read_array(path, key="a")


def assert_one_line(caught, folder):
    """The command line prints the path before the message, on one line."""
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) not in message
    assert "pickled" not in message
    assert len(message) < 500


# --- exit 3: bad data -------------------------------------------------------------------

OBJECTS = np.array([{"a": 1}, None], dtype=object)
RECORDS = np.zeros(2, dtype=[("a", "<f8"), ("b", "<i4")])

BAD_NPY = {
    "empty-file": (b"", r"got an empty file"),
    "truncated-magic": (npy(CELL)[:4], r"truncated header"),
    "truncated-version": (npy(CELL)[:7], r"truncated header"),
    "truncated-length": (npy(CELL)[:9], r"truncated header"),
    "truncated-header": (npy(CELL)[:60], r"truncated header"),
    "truncated-data": (npy(CELL)[:-1], r"truncated data: expected 192, got 191 bytes"),
    "no-data": (npy(FLOATS)[:128], r"truncated data: expected 480, got 0 bytes"),
    "bytes-after-the-array": (npy(CELL) + b"\0", r"bytes after the array: expected 192, got 193"),
    "text": (b"0 1 1 0\n1 0 0 1\n", r"expected \.npy data, got text; save"),
    "text-utf-8": ("größe;1;0\r\n".encode(), r"got text"),
    "text-utf-16": ("0 1 1 0\r\n".encode("utf-16"), r"got text"),
    "text-long": (b"0,1\n" * 10_000, r"got text"),
    "pickle": (pickle.dumps(CELL), r"got a Python pickle \(never loaded"),
    "pickle-protocol-2": (pickle.dumps([1], protocol=2), r"got a Python pickle"),
    "npz-named-npy": (npz(a=CELL), r"got \.npz data under another ending"),
    "hdf5-named-npy": (b"\x89HDF\r\n\x1a\n\0\0", r"got an unknown binary format"),
    "object-array": (npy(OBJECTS, allow_pickle=True), r"real numbers or booleans, got object"),
    "structured": (npy(RECORDS), r"got a structured type"),
    "void": (npy(np.zeros(2, dtype="V4")), r"got void32"),
    "subarray": (header("('<f8', (2, 2))"), r"got void"),
    "complex": (npy(CELL + 1j), r"got complex128; convert and save again"),
    "string": (npy(np.array(["solid", "void"])), r"got str"),
    "bytes": (npy(np.array([b"solid", b"void"])), r"got bytes"),
    "datetime": (npy(np.array(["2024-01-01"], dtype="M8[D]")), r"got datetime64"),
    "timedelta": (npy(np.array([1], dtype="m8[s]")), r"got timedelta64"),
    "bool-of-other-bytes": (header("'|b1'", "(16,)", data=bytes(15) + b"\2"), r"got other bytes"),
    "negative-length": (header(shape="(-2, -1)"), r"negative.*\(-2, -1\)"),
    "minus-one": (header(shape="(-1,)"), r"negative"),
    "boolean-length": (header(shape="(True, 2)"), r"odd length"),
    "overflow": (header(shape=f"({2**64},)"), r"overflowing shape"),
    "overflow-to-zero": (header(shape=f"({2**32}, {2**32})"), r"overflowing shape"),
    "overflow-beside-zero": (header(shape=f"(0, {2**62}, {2**62})"), r"overflowing shape"),
    "overflow-negative": (header(shape=f"({-(2**64)},)"), r"overflowing shape"),
    "overflow-unprintable": (header(shape="(0x" + "f" * 9000 + ",)"), r"overflowing shape"),
    "too-many-axes": (header(shape="(" + "1," * 65 + ")"), r"overflowing shape"),
    "terabytes": (header(shape="(10000, 10000, 10000)"), r"expected 8,000,000,000,000, got 16"),
    "version-4": (header(version=4), r"unknown version"),
    "version-0": (header(version=0), r"unknown version"),
    "huge-header": (header(descr="'<f8'" + " " * 20_000), r"huge header"),
    "huge-header-claimed": (b"\x93NUMPY\x02\0" + b"\xff" * 4 + bytes(50), r"huge header"),
    "no-dictionary": (raw_header(b"[1, 2]"), r"malformed"),
    "unknown-keys": (raw_header(b"{'a': 1, 2: 3}"), r"malformed"),
    "code-in-header": (raw_header(b"__import__('os').abort()"), r"malformed"),
    "no-python": (raw_header(b"{'descr': '<f8', "), r"malformed"),
    "bad-indentation": (raw_header(b" 1\n  2\n 3"), r"malformed"),
    "nested-brackets": (raw_header(b"[" * 9000), r"malformed"),
    "nested-signs": (raw_header(b"-" * 9000 + b"1"), r"malformed"),
    "nested-sums": (raw_header(b"1+" * 4500 + b"1"), r"malformed"),
    "unhashable": (raw_header(b"{[]: 1}"), r"malformed"),
    "not-utf-8": (header(descr="'\xff'", version=3), r"malformed"),
    "shape-no-tuple": (header(shape="2"), r"malformed"),
    "shape-of-floats": (header(shape="(2.0,)"), r"malformed"),
    "order-no-bool": (header(order="3"), r"malformed"),
    "unknown-type": (header(descr="'<q9'"), r"malformed"),
    "huge-type": (header(descr="'9999999999f8'"), r"malformed"),
}


@pytest.mark.parametrize(("data", "match"), BAD_NPY.values(), ids=BAD_NPY)
def test_bad_npy_is_refused(tmp_path, data, match):
    path = write(tmp_path, "a.npy", data)
    with pytest.raises(DataError, match=match) as caught:
        read_array(path)
    assert_one_line(caught, tmp_path)


@pytest.mark.parametrize(("data", "match"), BAD_NPY.values(), ids=BAD_NPY)
def test_bad_member_is_refused(tmp_path, data, match):
    if not data:
        match = "truncated header"
    path = write(tmp_path, "a.npz", archive([("a.npy", data)], zipfile.ZIP_DEFLATED))
    with pytest.raises(DataError, match=match) as caught:
        read_array(path)
    assert_one_line(caught, tmp_path)


TWELVE = {f"array{i:02d}": CELL for i in range(12)}
# a member longer than the first read, so that the checksum comes after its header
LONG = npz(a=np.arange(5000.0))

BAD_NPZ = {
    "empty-file": (b"", None, r"got an empty file"),
    "no-array": (npz(), None, r"got 0; give the key \(--key\) of one of: none"),
    "no-array-but-text": (archive([("a.txt", b"hi")]), None, r"got 0"),
    "several-without-key": (
        npz(a=CELL, b=CELL),
        None,
        r"got 2; give the key \(--key\) of one of: 'a', 'b'$",
    ),
    "twelve-without-key": (npz(**TWELVE), None, r"got 12.*'array07' and 4 more$"),
    "key-not-in-it": (npz(a=CELL, b=CELL), "c", r"one array 'c'.*got 0.*'a', 'b'$"),
    "key-with-two-lines": (npz(a=CELL), "c\nd", r"one array 'c\\nd'.*got 0.*'a'$"),
    "name-with-escapes": (npz(**{"a\n\x1b[2J": CELL, "b": CELL}), None, r"'a\\n\\x1b\[2J', 'b'$"),
    "long-name": (npz(**{"a" * 9000: CELL, "b": CELL}), None, r"'a{40}', 'b'$"),
    "name-twice": (archive([("a.npy", npy(CELL)), ("a.npy", npy(FLOATS))]), "a", r"got 2"),
    "evil-member": (npz(**{"../../evil": CELL}), None, r"leads out of it"),
    "evil-member-beside": (npz(**{"a": CELL, "../../evil": CELL}), "a", r"leads out of it"),
    "evil-key": (npz(**{"../../evil": CELL}), "../../evil", r"leads out of it"),
    "evil-inside": (archive([("a/../../b.npy", npy(CELL))]), None, r"leads out of it"),
    "evil-backslashes": (archive([("..\\evil.npy", npy(CELL))]), None, r"leads out of it"),
    "evil-absolute": (archive([("/etc/passwd", b"x")]), None, r"leads out of it"),
    "evil-parent": (archive([("a/..", b"x")]), None, r"leads out of it"),
    "evil-after-newline": (archive([("a\n/../b", b"x")]), None, r"leads out of it"),
    "npy-named-npz": (npy(CELL), None, r"expected \.npz data, got \.npy data under another"),
    "text": (b"hello", None, r"expected \.npz data, got text"),
    "pickle": (pickle.dumps(CELL), None, r"got a Python pickle"),
    "binary-before-the-zip": (b"\x7fELF\0" + npz(a=CELL), None, r"unknown binary"),
    "magic-only": (b"PK\x03\x04", None, r"damaged or truncated \.npz"),
    "truncated": (npz(a=CELL)[:-30], None, r"damaged or truncated \.npz"),
    "first-half": (npz(a=CELL)[:200], None, r"damaged or truncated \.npz"),
    "middle-missing": (LONG[:9000] + LONG[20000:], None, r"damaged or truncated \.npz"),
    "contents-before-the-start": (overwritten(npz(a=CELL), -10, 2), None, r"damaged"),
    "contents-after-the-end": (overwritten(npz(a=CELL), -6, 2), None, r"damaged"),
    "bad-crc": (patched(LONG, np.float64(4999).tobytes(), bytes(8)), None, r"damaged"),
    "bad-crc-short": (patched(npz(a=FLOATS), FLOATS.tobytes()[:8], bytes(8)), None, r"damaged"),
    "bad-deflate": (overwritten(npz(np.savez_compressed, a=FLOATS), 55, 50), None, r"damaged"),
    "encrypted": (encrypted(), None, r"encrypted, or compressed"),
    "bzip2": (archive([("a.npy", npy(CELL))], zipfile.ZIP_BZIP2), None, r"unusual method"),
    "lzma": (archive([("a.npy", npy(CELL))], zipfile.ZIP_LZMA), None, r"unusual method"),
    "unpacks-to-more": (
        claiming(archive([("a.npy", npy(CELL) + bytes(2**20))], zipfile.ZIP_DEFLATED), 320),
        None,
        r"damaged",
    ),
    "unpacks-to-less": (archive([("a.npy", npy(CELL)[:-1])]), None, r"truncated data"),
}


@pytest.mark.parametrize(("data", "key", "match"), BAD_NPZ.values(), ids=BAD_NPZ)
def test_bad_npz_is_refused(tmp_path, data, key, match):
    path = write(tmp_path, "a.npz", data)
    with pytest.raises(DataError, match=match) as caught:
        read_array(path, key)
    assert_one_line(caught, tmp_path)
    assert os.listdir(tmp_path) == ["a.npz"]


def fails_with(error):
    def fail(*args, **kwargs):
        raise error

    return fail


PARSER_ERRORS = [ValueError, SyntaxError, IndentationError, TypeError, AttributeError, KeyError]
PARSER_ERRORS += [IndexError, OverflowError, RecursionError, EOFError, UnicodeError]


@pytest.mark.parametrize("error", [*PARSER_ERRORS, MemoryError, tokenize.TokenError])
def test_whatever_the_header_parser_raises_is_bad_data(tmp_path, monkeypatch, error):
    path = write(tmp_path, "a.npy", npy(CELL))
    monkeypatch.setattr(np.lib.format, "read_array_header_1_0", fails_with(error))
    with pytest.raises(DataError, match=r"malformed \.npy header"):
        read_array(path)


ZIP_ERRORS = [zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error, zlib.error]


@pytest.mark.parametrize("error", [*PARSER_ERRORS, *ZIP_ERRORS, OSError])
def test_whatever_zipfile_raises_is_bad_data(tmp_path, monkeypatch, error):
    path = write(tmp_path, "a.npz", npz(a=CELL))
    monkeypatch.setattr(zipfile, "ZipFile", fails_with(error))
    with pytest.raises(DataError, match=r"damaged or truncated \.npz"):
        read_array(path)


# --- memory ------------------------------------------------------------------------------


@pytest.fixture
def memory(monkeypatch):
    """Sets what is free; taking any memory for an array fails the test."""

    def set_free(free, may_allocate=False):
        monkeypatch.setattr(formats, "available_memory", lambda: free)
        if not may_allocate:
            monkeypatch.setattr(formats.np, "empty", lambda *a, **k: pytest.fail("allocated"))

    return set_free


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_array_must_fit_in_memory_twice(tmp_path, memory, ending):
    data = npy(FLOATS) if ending == ".npy" else npz(a=FLOATS)
    path = write(tmp_path, "a" + ending, data)
    memory(2 * FLOATS.nbytes, may_allocate=True)
    assert_same(read_array(path), FLOATS)
    memory(2 * FLOATS.nbytes - 1)
    with pytest.raises(DataError, match=r"takes 8.94e-07 GiB of memory, .* is free; use") as caught:
        read_array(path)
    assert_one_line(caught, tmp_path)


def test_unknown_memory_is_no_limit(tmp_path, memory):
    memory(None, may_allocate=True)
    assert_same(read_array(write(tmp_path, "a.npy", npy(FLOATS))), FLOATS)


def test_zip_bomb_is_not_unpacked(tmp_path, memory):
    zeros = np.zeros(2**20)
    path = write(tmp_path, "a.npz", npz(np.savez_compressed, a=zeros))
    assert path.stat().st_size < zeros.nbytes / 500
    memory(2**20)
    with pytest.raises(DataError, match=r"takes 0.0156 GiB of memory"):
        read_array(path)


def test_claim_of_a_gigabyte_takes_no_memory(tmp_path, memory):
    member = header(shape=f"({2**27},)")
    size = len(member) - 16 + 2**30
    path = write(tmp_path, "a.npz", claiming(archive([("a.npy", member)]), size))
    memory(2**20)
    with pytest.raises(DataError, match=r"takes 2 GiB of memory"):
        read_array(path)


def test_huge_table_of_contents_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_CONTENTS_LIMIT", 500)
    assert_same(read_array(write(tmp_path, "a.npz", npz(a=CELL))), CELL)
    path = write(tmp_path, "b.npz", npz(**TWELVE))
    with pytest.raises(DataError, match=r"huge table of contents"):
        read_array(path, "array00")


@pytest.mark.parametrize("data", [npy(CELL), npz(a=CELL)], ids=["a.npy", "a.npz"])
def test_failed_allocation_is_reported(tmp_path, monkeypatch, data):
    path = write(tmp_path, "a.npy" if data[:2] != b"PK" else "a.npz", data)
    monkeypatch.setattr(formats.np, "empty", fails_with(MemoryError))
    with pytest.raises(DataError, match=r"not enough memory; use a smaller array"):
        read_array(path)


def test_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path, "a.npy", header(shape="(5000,)", data=bytes(16_000)))
    promised = path.stat().st_size + 24_000
    monkeypatch.setattr(formats.os, "fstat", lambda handle: SimpleNamespace(st_size=promised))
    with pytest.raises(DataError, match=r"truncated data: got 16,000 of 40,000 bytes"):
        read_array(path)


# --- files that are no files -------------------------------------------------------------


@pytest.fixture
def deadline():
    """Interrupts a read that waits forever."""

    def interrupt(signum, frame):
        pytest.fail("the read waits for a writer")

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("kind", ["fifo", "link to fifo", "socket", "device", "endless device"])
def test_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket is limited to about 100 bytes
    server = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo("a.npy")
    elif kind == "link to fifo":
        os.mkfifo("pipe")
        os.symlink("pipe", "a.npy")
    elif kind == "socket":
        server.bind("a.npy")
    else:
        os.symlink("/dev/null" if kind == "device" else "/dev/zero", "a.npy")
    with server, pytest.raises(DataError, match=r"expected a regular file, got a FIFO, socket"):
        read_array("a.npy")


def test_symlink_loop_is_refused(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "b.npy")
    (tmp_path / "b.npy").symlink_to(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"loop of symbolic links; repair the link"):
        read_array(tmp_path / "a.npy")


def test_file_of_the_system_that_seems_empty_is_not_opened(tmp_path):
    (tmp_path / "a.npy").symlink_to("/proc/self/environ")
    with pytest.raises(DataError, match=r"got an empty file"):
        read_array(tmp_path / "a.npy")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("locked", ["file", "folder"])
def test_no_permission(tmp_path, locked):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = write(folder, "a.npy", npy(CELL))
    target = path if locked == "file" else folder
    target.chmod(0)
    try:
        with pytest.raises(DataError, match=r"no permission to read the file; change its mode"):
            read_array(path)
    finally:
        target.chmod(0o700)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (PermissionError(13, "Permission denied", "/secret"), r"no permission to read the file"),
        (
            OSError(5, "Input/output error", "/secret"),
            r"reading failed \(Input/output error\); copy",
        ),
    ],
    ids=["no-permission", "broken-disk"],
)
def test_error_of_the_system_is_translated(tmp_path, monkeypatch, error, match):
    path = write(tmp_path, "a.npy", npy(CELL))
    monkeypatch.setattr(formats.io, "FileIO", fails_with(error))
    with pytest.raises(DataError, match=match) as caught:
        read_array(path)
    assert "secret" not in str(caught.value)


class Intruder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("wrapped", [True, False], ids=["object array", "raw pickle"])
def test_nothing_in_the_file_is_executed(tmp_path, ending, wrapped):
    intruder = Intruder(str(tmp_path / "trace"))
    data = pickle.dumps(intruder)
    if wrapped:
        data = npy(np.array([intruder], dtype=object), allow_pickle=True)
    if ending == "npz":
        data = archive([("a.npy", data)])
    path = write(tmp_path, f"a.{ending}", data)
    with pytest.raises(DataError):
        read_array(path)
    assert os.listdir(tmp_path) == [path.name]


# --- available memory --------------------------------------------------------------------

MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n"}
V2 = {
    "proc/self/cgroup": "0::/user/job\n",
    "sys/fs/cgroup/user/job/memory.max": "max\n",
    "sys/fs/cgroup/user/job/memory.current": "5\n",
    "sys/fs/cgroup/user/memory.max": "3000000\n",
    "sys/fs/cgroup/user/memory.current": "1000000\n",
    "sys/fs/cgroup/user/memory.stat": "anon 600000\nfile 400000\ninactive_file 250000\n",
}
V1 = {
    "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/docker/1\n1:name=systemd:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "700000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 9\ntotal_inactive_file 100000\n",
}
UNLIMITED = {
    "proc/self/cgroup": "4:memory:/\n0::/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000\n",
}
FULL = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": "1000\n",
    "sys/fs/cgroup/memory.current": "1001\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(MEMINFO, 4_096_000, id="machine"),
        pytest.param(MEMINFO | V2, 2_250_000, id="cgroup v2 of a parent"),
        pytest.param(MEMINFO | V1, 1_400_000, id="cgroup v1"),
        pytest.param(MEMINFO | UNLIMITED, 4_096_000, id="cgroup without a limit"),
        pytest.param(MEMINFO | FULL, 0, id="cgroup over its limit"),
        pytest.param({}, 300 * 4096, id="physical memory"),
        pytest.param(V2, 300 * 4096, id="physical memory below the cgroup limit"),
        pytest.param(FULL, 0, id="cgroup without meminfo"),
    ],
)
def test_available_memory_is_the_lowest_limit(tmp_path, monkeypatch, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(formats, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 300, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert available_memory() == expected


def test_available_memory_may_be_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: -1)
    assert available_memory() is None
    monkeypatch.delattr(os, "sysconf")
    assert available_memory() is None


@pytest.mark.skipif(not os.path.exists("/proc/meminfo"), reason="needs Linux")
def test_available_memory_of_this_machine():
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < available_memory() <= physical
