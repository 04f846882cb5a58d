"""Image stacks from tomography as voxels: TIFF and raw files, read slice by slice.

In both, the slices follow each other along z, and x runs fastest in a slice.
"""

import logging
import math
import os
from contextlib import contextmanager

import numpy as np

from homog.cell import validated_voxels
from homog.errors import DataError, ParameterError
from homog.formats import check_free, check_regular

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
INFLATION = 1032  # most that a byte of deflated data can become


def read_tiff(path, threshold=None):
    """Voxels of a TIFF file whose pages are the slices. Needs ``tifffile``.

    Only pages of this file are read, whatever its metadata say of other files.

    Parameters
    ----------
    path : str or Path
    threshold : float, optional
        Solid is where the grey value is at least this. Without it all values must be 0 or 1.

    Returns
    -------
    (nx, ny, nz) bool array

    Raises
    ------
    ParameterError
        If there is no such file, or the threshold is not finite.
    DataError
        If the file is damaged, its pages are not alike or not grey, or memory does not suffice.
    """
    import tifffile  # late: raw stacks do not need it

    check_regular(path)
    try:
        with _no_complaints(), tifffile.TiffFile(path) as file:
            return _solid(*_pages(file, os.stat(path).st_size), threshold)
    except (DataError, ParameterError, MemoryError):
        raise
    except Exception as error:  # whatever a parser meets in a damaged file
        raise DataError("damaged TIFF, or compressed unusually; save it uncompressed") from error


class _Complaints(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


@contextmanager
def _no_complaints():
    """Where tifffile meets damage, it logs it and leaves slices out: here that is an error."""
    complaints, log = _Complaints(), logging.getLogger("tifffile")
    log.addHandler(complaints)
    spreads, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.removeHandler(complaints)
        log.propagate = spreads
    if complaints.messages:
        raise DataError(f"damaged TIFF: {complaints.messages[0][:100]}; copy or save it again")


def _pages(file, size):
    """Shape of a stack and its slices (ny, nx). Series are left alone: they open other files."""
    pages = list(file.pages)
    first = pages[0]
    for page in pages:
        if (page.shape, page.dtype) != (first.shape, first.dtype):
            raise DataError("expected slices of one size and type; save them as one stack")
        _check_page(page, size)
    if len(first.shape) != 2 or first.dtype is None or first.dtype.kind not in "biuf":
        raise DataError(f"expected grey slices, got {first.shape} of {first.dtype}; convert them")
    told = file.imagej_metadata or {}
    if sum(told.get(name, 1) > 1 for name in ("channels", "slices", "frames")) > 1:
        raise DataError("several channels or times; save one stack of grey slices")
    if len(pages) == 1 and told.get("images", 1) != 1:
        return _behind_one_page(file, first, told["images"], size)
    return (*first.shape[::-1], len(pages)), (page.asarray(maxworkers=1) for page in pages)


def _behind_one_page(file, page, count, size):
    """The same, where ImageJ has described the first slice only: the others follow its data."""
    start = page.dataoffsets[0]
    if page.compression != 1 or not 0 < count <= (size - start) // page.nbytes:
        raise DataError(f"truncated TIFF: {count} slices do not fit in it; copy it again")
    dtype = page.dtype.newbyteorder(file.byteorder)

    def slices():
        file.filehandle.seek(start)
        for _ in range(count):
            yield np.frombuffer(file.filehandle.read(page.nbytes), dtype).reshape(page.shape)

    return (*page.shape[::-1], count), slices()


def _check_page(page, size):
    """Refuse a page that claims more than the file or the memory holds."""
    held = sum(page.databytecounts)
    ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
    claimed = page.size * page.bitspersample // 8 if page.compression == 1 else 1
    if max(ends, default=0) > size or held < claimed:
        raise DataError("truncated TIFF: it ends before its slices; copy it again")
    inflated = INFLATION * max(page.databytecounts) if page.compression != 1 else 0
    _check_memory(2 * page.nbytes + inflated)


def read_raw(path, shape, dtype, threshold=None):
    """Voxels of a file that holds nothing but numbers, little-endian.

    Parameters
    ----------
    path : str or Path
    shape : tuple of int
        nx, ny, nz.
    dtype : str
        One of ``TYPES``.
    threshold : float, optional
        See ``read_tiff``.

    Returns
    -------
    (nx, ny, nz) bool array

    Raises
    ------
    ParameterError
        If there is no such file, or an argument is out of range.
    DataError
        If the size of the file is not that of the numbers, or memory does not suffice.
    """
    check_regular(path)
    if dtype not in TYPES or min(shape) < 1:
        raise ParameterError(f"expected one of {', '.join(TYPES)} and a shape, got {dtype} {shape}")
    numbers = np.dtype(dtype).newbyteorder("<")
    expected, found = math.prod(shape) * numbers.itemsize, os.stat(path).st_size
    if found != expected:
        raise DataError(
            f"{shape[0]} x {shape[1]} x {shape[2]} {dtype} are {expected:,} bytes, the file has "
            f"{found:,}; check --shape and --dtype, and leave headers out"
        )
    return _solid(shape, _raw_slices(path, shape, numbers), threshold)


def _raw_slices(path, shape, dtype):
    """Slices (ny, nx) of a raw file."""
    count = shape[0] * shape[1]
    with open(path, "rb") as stream:
        for _ in range(shape[2]):
            yield np.fromfile(stream, dtype, count).reshape(shape[1], shape[0])


def _solid(shape, slices, threshold):
    """Voxels of slices."""
    if threshold is not None and not np.isfinite(threshold):
        raise ParameterError(f"threshold must be finite, got {threshold:g}")
    _check_memory(3 * math.prod(shape))
    voxels = np.empty(shape, dtype=bool)
    for z, grey in enumerate(slices):
        voxels[:, :, z] = _phase(grey, threshold).T
    return voxels


def _phase(grey, threshold):
    """Where a slice is solid."""
    if threshold is None:
        return validated_voxels(grey[None])[0]
    if grey.dtype.kind == "f" and not np.isfinite(grey).all():
        raise DataError("expected finite values, got NaN or infinity; clean the stack first")
    return grey >= threshold


def _check_memory(needed):
    check_free(needed, "reading it takes", "cut or coarsen the stack")
