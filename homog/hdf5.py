"""HDF5 files from elsewhere, read without trusting them, and images of new ones.

An HDF5 file can name other files (external links and storage, virtual datasets) and filters that
are plugins. Such files are refused.
"""

import io
from pathlib import Path

import h5py
import numpy as np

from homog.errors import DataError, HomogError
from homog.formats import check_regular

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FILTERS = {1, 2, 3}  # gzip, shuffle, checksum: none is a plugin
LARGEST_CHUNK = 2**28  # bytes
ROWS = 256  # a chunk
KINDS = "biufS"


def open_checked(path):
    """Open an HDF5 file for reading once all of it has been found harmless.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    h5py.File

    Raises
    ------
    ParameterError
        If there is no such file.
    DataError
        If it is not HDF5, is damaged, refers to other files, needs plugins, or claims data
        that it does not hold.
    """
    path = Path(path)
    check_regular(path)
    with open(path, "rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            raise DataError("expected an HDF5 file, got another format; check the path")
    try:
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError("damaged or truncated HDF5 file; copy or write it again") from error
    try:
        _check_group(file, depth=0)
    except HomogError:  # one of them is a ValueError too
        file.close()
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        file.close()
        raise DataError("damaged HDF5 file; copy or write it again") from error
    except BaseException:
        file.close()
        raise
    return file


def _check_group(group, depth):
    """Hard links to groups, two deep at most, and to harmless datasets."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise DataError(f"{name!r} is a link to elsewhere, which is never followed; remove it")
        member = group[name]
        if isinstance(member, h5py.Dataset):
            _check_dataset(name, member)
        elif isinstance(member, h5py.Group) and depth == 0:
            _check_group(member, depth + 1)
        else:
            raise DataError(f"{name!r} is neither a dataset nor a group of datasets; remove it")


def _check_dataset(name, data):
    properties = data.id.get_create_plist()
    if data.is_virtual or properties.get_external_count():
        raise DataError(f"{name!r} lies in other files, which are never read; store it in this one")
    if data.dtype.kind not in KINDS or data.shape is None or data.ndim == 0:
        raise DataError(f"{name!r}: expected an array of numbers or bytes, got {data.dtype}")
    filters = {properties.get_filter(n)[0] for n in range(properties.get_nfilters())}
    if filters - FILTERS:
        raise DataError(f"{name!r} is compressed by a plugin, which is never loaded; use gzip")
    if data.chunks is None:
        held = data.id.get_storage_size() == data.size * data.dtype.itemsize
    else:
        chunk = np.prod(data.chunks, dtype=float) * data.dtype.itemsize
        expected = np.prod([-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True)])
        held = chunk <= LARGEST_CHUNK and data.id.get_num_chunks() == expected
    if not held:
        raise DataError(f"{name!r} claims data that the file does not hold; write it again")


def image(attributes, columns, groups):
    """Bytes of an HDF5 file; equal content gives equal bytes.

    Parameters
    ----------
    attributes : dict
    columns : dict
        ``{name: (n, ...) array}``
    groups : dict
        ``{group: (attributes, columns)}``

    Returns
    -------
    memoryview
    """
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        _fill(file, attributes, columns)
        for name, content in groups.items():
            _fill(file.create_group(name), *content)
    return stream.getbuffer()


def _fill(group, attributes, columns):
    group.attrs.update(attributes)
    for name, values in columns.items():
        values = np.asarray(values)
        chunks = (max(1, min(ROWS, len(values))), *(max(1, n) for n in values.shape[1:]))
        group.create_dataset(
            name, data=values, chunks=chunks, compression="gzip", compression_opts=4,
            shuffle=True, fletcher32=True, track_times=False, maxshape=(None, *values.shape[1:]),
        )  # fmt: skip
