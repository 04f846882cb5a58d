"""Arrays in files from elsewhere, read without trusting what a file says about itself."""

import errno
import io
import math
import os
import re
import stat
import struct
import sys
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from homog.errors import DataError, HomogError, ParameterError

_SIGNATURES = {".npy": (b"\x93NUMPY",), ".npz": (b"PK\x03\x04", b"PK\x05\x06")}
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_TEXT = re.compile(rb"\xff\xfe|\xfe\xff|[^\0-\x08\x0e-\x1a\x1c-\x1f]*\Z")  # UTF-16, no controls
_OUTWARD = re.compile(r"[\\/]|(.*[\\/])?\.\.([\\/]|\Z)", re.DOTALL)
_HEADER_LIMIT = 10_000  # bytes; numpy's own bound on what it lets the Python parser see
_CONTENTS_LIMIT = 2**24  # bytes of a zip's table of contents, some 200,000 members
_PARSER_ERRORS = (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError)
_PARSER_ERRORS += (SyntaxError, TypeError, ValueError, struct.error, tokenize.TokenError)
_PARSER_ERRORS += (zipfile.BadZipFile, zlib.error)
_ROOT = Path("/")  # of the system files below
_CGROUPS = {  # controller: files of the limit and the usage, and the droppable part of it
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def read_array(path, key=None):
    """Read one array of real numbers or booleans from a ``.npy`` or ``.npz`` file.

    Nothing is executed or extracted, and no other file is read. The claims of
    the header are compared with the real size before memory is taken: twice the
    array (as stored, and converted) must fit in ``available_memory()``.

    Parameters
    ----------
    path : str or Path
        A regular file or a symbolic link to one.
    key : str, optional
        Name of the array in a ``.npz``; needed if there are several.

    Returns
    -------
    ndarray
        Of the stored shape and values, C-contiguous, in native byte order.

    Raises
    ------
    ParameterError
        If there is no such file, its ending is unknown, or ``key`` does not apply.
    DataError
        If the file is not regular, readable, intact, what its ending says and small
        enough; holds bytes after the array or other types than booleans, integers
        and floats; or is an archive with a name in it that leads out of it.
    """
    path = Path(path)
    ending = path.suffix.lower()
    try:
        _check_kind(os.stat(path), ending, key)  # before open(), which waits for a FIFO
        with _CappedReader(io.FileIO(path)) as stream:
            if ending == ".npz":
                return _read_npz(stream, key)
            return _read_npy(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise _translated(error) from error
    except MemoryError as error:
        raise DataError("not enough memory; use a smaller array or another machine") from error


def check_regular(path):
    """Refuse what is not a regular file with something in it, before anything opens it.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ParameterError
        If there is no such file, or it is a folder.
    DataError
        If it is another thing, empty, or cannot be read.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ParameterError("expected a file, got a folder; name a file in it")
        _check_readable(status)
        with open(path, "rb"):
            pass
    except OSError as error:
        raise _translated(error) from error


def available_memory():
    """Memory that can be taken without swapping, in bytes; None if unknown.

    The least of ``MemAvailable`` (where the system does not say, of the physical
    memory) and of what the limit of each enclosing cgroup, v2 or v1, leaves free;
    file cache that the kernel would drop counts as free.
    """
    machine = _numbers("proc/meminfo").get("MemAvailable:")
    machine = _physical_memory() if machine is None else 1024 * machine
    known = [free for free in (machine, *_cgroup_free()) if free is not None]
    return max(0, min(known)) if known else None


def check_memory(needed, unknowns):
    """Refuse a problem before the machine swaps.

    Parameters
    ----------
    needed : float
        Bytes.
    unknowns : int

    Raises
    ------
    DataError
        If less than that is available.
    """
    remedy = "use a coarser grid or a larger machine"
    check_free(needed, "needs", remedy, f" for {unknowns} unknowns")


def check_free(needed, task, remedy, purpose=""):
    """Refuse what does not fit in the free memory.

    Parameters
    ----------
    needed : float
        Bytes.
    task, remedy, purpose : str
        What takes them, such as "reading it takes", what to do, and what they are for.

    Raises
    ------
    DataError
        If less than that is available.
    """
    free = available_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{task} about {needed / 1e9:.1f} GB of memory{purpose}, {free / 1e9:.1f} GB are free; "
            f"{remedy}"
        )


class _CappedReader(io.BufferedReader):
    """A file that refuses to give one huge piece, as zipfile takes a table of contents."""

    def read(self, size=-1):
        # each 46 bytes of that table would become an object of some 700
        if size is not None and size > _CONTENTS_LIMIT:
            raise DataError("huge table of contents, expected a few arrays; save them again")
        return super().read(size)


def _check_kind(status, ending, key):
    """A regular file of known ending, and a key only where arrays have names."""
    if stat.S_ISDIR(status.st_mode):
        raise ParameterError("expected a .npy or .npz file, got a folder; name a file in it")
    if ending not in _SIGNATURES:
        raise ParameterError(f"expected a file ending in .npy or .npz, got {ending!r}; convert it")
    if ending == ".npy" and key is not None:
        raise ParameterError("a .npy file holds one array without a name; leave the key out")
    _check_readable(status)


def _check_readable(status):
    """A regular file with something in it."""
    if not stat.S_ISREG(status.st_mode):
        raise DataError("expected a regular file, got a FIFO, socket or device; copy it to a file")
    if status.st_size == 0:  # also in /proc, where reading may wait
        raise DataError("expected an array, got an empty file; save the array again")


def _translated(error):
    """What the operating system said, as a HomogError."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return ParameterError("no such file, or a symbolic link to nothing; check the path")
    if error.errno == errno.ELOOP:
        return DataError("expected a file, got a loop of symbolic links; repair the link")
    if isinstance(error, PermissionError):
        return DataError("no permission to read the file; change its mode or its owner")
    return DataError(f"reading failed ({error.strerror}); copy or save the file again")


def _check_signature(head, ending):
    """The data starts as its format does; if not, say what it is instead."""
    if head.startswith(_SIGNATURES[ending]):
        return
    found = "text" if _TEXT.match(head) else "an unknown binary format"
    for other, signatures in _SIGNATURES.items():
        if head.startswith(signatures):
            found = f"{other} data under another ending"
        elif any(signature.startswith(head) for signature in signatures):
            found = "a truncated header"
    if _PICKLE.match(head):
        found = "a Python pickle (never loaded, because it can run code)"
    raise DataError(f"expected {ending} data, got {found}; save the array with numpy.save again")


def _read_npy(stream, size):
    """The array in a stream of ``size`` bytes, read forwards: seeking can switch a CRC off."""
    head = stream.read(_HEADER_LIMIT)
    _check_signature(head, ".npy")
    shape, fortran_order, dtype, start = _parse_header(head)
    nbytes, found = _claimed_nbytes(shape, dtype), size - start
    if nbytes != found:
        problem = "truncated data" if nbytes > found else "bytes after the array"
        raise DataError(f"{problem}: expected {nbytes:,}, got {found:,} bytes; save it again")
    raw = _read_bytes(stream, nbytes, head[start:])
    if dtype.kind == "b" and np.any(raw > 1):  # numpy would take these for True or not, by chance
        raise DataError("expected booleans stored as 0 and 1, got other bytes; save them again")
    array = raw.view(dtype).reshape(shape, order="F" if fortran_order else "C")
    return np.asarray(array, dtype=dtype.newbyteorder("="), order="C")


def _parse_header(head):
    """Shape, order and dtype of the array, and the byte at which its data starts."""
    version = tuple(head[6:8])
    width = 2 if version == (1, 0) else 4
    start = 8 + width + int.from_bytes(head[8 : 8 + width], "little")
    if len(head) < start <= _HEADER_LIMIT:
        raise DataError("truncated header, expected more bytes; copy or save the file again")
    if version not in ((1, 0), (2, 0), (3, 0)) or start > _HEADER_LIMIT:
        raise DataError("unknown version or huge header, expected .npy 1.0 to 3.0; save it again")
    # 3.0 differs from 2.0 in the names of structured types only, which are refused anyway
    parse = getattr(np.lib.format, f"read_array_header_{min(version[0], 2)}_0")
    try:
        with warnings.catch_warnings(action="ignore"):  # numpy warns of headers from Python 2
            return *parse(io.BytesIO(head[8:])), start
    except _PARSER_ERRORS as error:
        raise DataError("malformed .npy header; save the array with numpy.save again") from error


def _claimed_nbytes(shape, dtype):
    """Size of the data that a header claims, if such an array can exist."""
    if dtype.kind not in "biuf":
        found = "a structured type" if dtype.names else dtype.name
        raise DataError(f"expected real numbers or booleans, got {found}; convert and save again")
    extent = math.prod(abs(length) or 1 for length in shape) * dtype.itemsize
    if len(shape) > 64 or extent > sys.maxsize:  # not printed: str() refuses that many digits
        raise DataError("overflowing shape in the header, no array has it; save the array again")
    if any(length < 0 or isinstance(length, bool) for length in shape):
        raise DataError(f"negative or odd length in the header, shape {shape}; save it again")
    return math.prod(shape) * dtype.itemsize


def _read_bytes(stream, nbytes, first):
    """The ``nbytes`` bytes that start with ``first`` and go on in the stream."""
    free = available_memory()
    if free is not None and 2 * nbytes > free:
        need = f"{2 * nbytes / 2**30:.3g} GiB of memory, {free / 2**30:.3g} GiB is free"
        raise DataError(f"reading the array takes {need}; use a smaller array or another machine")
    raw = np.empty(nbytes, dtype=np.uint8)
    raw[: len(first)] = np.frombuffer(first, dtype=np.uint8)
    done = len(first)
    while done < nbytes:
        count = stream.readinto(raw[done : done + 2**20])  # a zip member makes a copy of each piece
        if not count:
            raise DataError(f"truncated data: got {done:,} of {nbytes:,} bytes; copy it again")
        done += count
    return raw


def _read_npz(stream, key):
    """The array named ``key`` in an archive; no other member is read."""
    _check_signature(stream.peek(), ".npz")
    try:
        with zipfile.ZipFile(stream) as archive:
            info = _member(archive.infolist(), key)
            with archive.open(info) as member:
                return _read_npy(member, info.file_size)
    except (HomogError, MemoryError):
        raise
    except (OSError, *_PARSER_ERRORS) as error:  # OSError: a seek to where no byte can be
        raise DataError("damaged or truncated .npz archive; copy or save it again") from error


def _member(infos, key):
    """The one array that ``key`` means, in an archive as numpy.savez writes it."""
    if any(_OUTWARD.match(info.filename) for info in infos):
        raise DataError("a name in the archive leads out of it; save the arrays again")
    arrays = [info for info in infos if info.filename.endswith(".npy")]
    chosen = [info for info in arrays if key is None or info.filename == f"{key}.npy"]
    if len(chosen) != 1:
        names = ", ".join(repr(info.filename[:-4][:40]) for info in arrays[:8])
        more = f" and {len(arrays) - 8} more" if len(arrays) > 8 else ""
        wanted = "one array" if key is None else f"one array {key!r}"
        found = f"got {len(chosen)}; give the key (--key) of one of: {names or 'none'}{more}"
        raise DataError(f"expected {wanted} in the archive, {found}")
    if chosen[0].flag_bits & 1 or chosen[0].compress_type not in (0, zipfile.ZIP_DEFLATED):
        # other methods than numpy's take memory before anything can be checked
        raise DataError("encrypted, or compressed by an unusual method; save it with numpy.savez")
    return chosen[0]


def _find(pattern, name):
    """Matches of a pattern in a system file, none if it cannot be read."""
    try:
        return re.findall(pattern, (_ROOT / name).read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return []


def _numbers(name):
    """The lines "name number" of a system file as a dict; a number alone is named ''."""
    return {word: int(number) for word, number in _find(r"^(?:(\S+)[ \t]+)?(\d+)\b", name)}


def _physical_memory():
    """Bytes of memory in this machine, None if unknown."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return pages * size if pages > 0 else None


def _cgroup_free():
    """Bytes that the limit of each cgroup around this process leaves free."""
    for controller, path in _find(r"^\d+:(|memory):/(.*)", "proc/self/cgroup"):
        limit, usage, cache = _CGROUPS[controller]
        for folder in (Path(path), *Path(path).parents):
            group = f"sys/fs/cgroup/{controller}/{folder}/"
            for most in _numbers(group + limit).values():
                dropped = _numbers(group + "memory.stat").get(cache, 0)
                yield most - _numbers(group + usage).get("", 0) + dropped
