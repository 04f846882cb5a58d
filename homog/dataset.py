"""The dataset file: many unit cells in one HDF5 file, described in docs/data-format.md."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from homog import __version__, hdf5
from homog.errors import DataError, HomogError
from homog.files import write_atomically
from homog.formats import available_memory
from homog.units.family import unfold

FORMAT, VERSION = "homog dataset", 1
VOXELS = {"octants": True, "cells": False}  # name of the packed voxels: whether they are octants
COLUMNS = {  # kind of type and dimensions of what each unit has
    "volume_fraction": ("f", 1),
    "smallest_feature": ("i", 1),
    "open_cell": ("b", 1),
    "family": ("i", 1),
    "level": ("f", 1),
    "parameters": ("f", 2),
    "hash": ("u", 2),
}
NAMES = ("name", "source", "parameters")  # of the families
HASH_BYTES = 16


@dataclass(frozen=True)
class Cells:
    """Unit cells of one shape.

    Parameters
    ----------
    packed : (n, bytes) uint8 array
        Voxels as bits, see ``pack``.
    shape : tuple
        Of a whole cell.
    cubic : bool
        Whether octants are packed, else whole cells.
    columns : dict
        ``{name: (n, ...) array}``, those of ``COLUMNS`` without the hash.
    families : list of tuple
        Name, source, and names of the parameters; the column ``family`` is an index into it.
    origin : dict
        What made the cells.
    """

    packed: np.ndarray
    shape: tuple
    cubic: bool
    columns: dict
    families: list
    origin: dict


def pack(voxels):
    """Boolean voxels (..., nx, ny, nz) as bits of bytes: C order, the first bit the highest."""
    voxels = np.asarray(voxels, dtype=bool)
    return np.packbits(voxels.reshape(*voxels.shape[:-3], -1), axis=-1)


def unpack(packed, shape):
    """Boolean voxels (..., nx, ny, nz) of what ``pack`` made."""
    bits = np.unpackbits(packed, axis=-1, count=int(np.prod(shape)))
    return bits.reshape(*packed.shape[:-1], *shape).astype(bool)


def content_hash(packed, shape, cubic):
    """What identifies the voxels of a cell: BLAKE2b of their kind, shape and bits, 16 bytes."""
    kind = "octant" if cubic else "cell"
    head = f"{kind} {' '.join(map(str, shape))}\n".encode()
    digest = hashlib.blake2b(head + packed.tobytes(), digest_size=HASH_BYTES).digest()
    return np.frombuffer(digest, np.uint8)


def write_dataset(path, cells, groups=None, check=None):
    """Write a dataset file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    cells : Cells
    groups : dict, optional
        Groups of further columns: ``{group: ({attribute: value}, {name: (n, ...) array})}``.
    check : callable, optional
        As in ``write_atomically``.

    Raises
    ------
    OSError
        If writing fails; an old file is then still there.
    """
    hashes = [content_hash(row, cells.shape, cells.cubic) for row in cells.packed]
    name = next(name for name, cubic in VOXELS.items() if cubic == cells.cubic)
    columns = {name: cells.packed, **cells.columns}
    columns["hash"] = np.array(hashes, np.uint8).reshape(-1, HASH_BYTES)
    attributes = {
        "format": FORMAT,
        "version": VERSION,
        "writer": f"homog {__version__}",
        "shape": np.array(cells.shape, np.int64),
        "origin": json.dumps(cells.origin),
    }
    rows = [(name, source, " ".join(names)) for name, source, names in cells.families]
    texts = np.char.encode(np.array(rows, dtype=str).reshape(-1, len(NAMES)), "utf-8").T
    families = {"families": ({}, dict(zip(NAMES, texts, strict=True)))}
    image = hdf5.image(attributes, columns, {**families, **(groups or {})})
    write_atomically(path, image, check)


@dataclass(frozen=True)
class DatasetUnit:
    """One unit of a dataset.

    ``index`` is its row in the file, ``stored`` its octant or whole cell, ``hash`` identifies
    the voxels; the other fields are those of the columns of the dataset.
    """

    index: int
    stored: np.ndarray = field(repr=False)
    cubic: bool
    family: str
    source: str
    parameters: dict
    level: float
    volume_fraction: float
    smallest_feature: int
    open_cell: bool
    hash: str

    @property
    def octant(self):
        """One octant, (nx/2, ny/2, nz/2) bool array; of cubic cells only."""
        if not self.cubic:
            raise DataError("no octant is stored, because not all cells of the file are cubic")
        return self.stored

    @cached_property
    def voxels(self):
        """The whole cell, (nx, ny, nz) bool array."""
        return unfold(self.stored) if self.cubic else self.stored


class Dataset:
    """Unit cells in a dataset file, read slice by slice; a context manager.

        >>> ds = homog.Dataset("units.h5")
        >>> len(ds), ds[7].voxels, ds.octants[:100], ds.volume_fraction

    Indexing gives one ``DatasetUnit``, iterating all, ``select`` a part. Nothing in a file is
    executed and no other file is read.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ParameterError
        If there is no such file.
    DataError
        If it is not a dataset file of a known version, is damaged, or refers to other files.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._file = hdf5.open_checked(self.path)
        try:
            name = _checked_head(self._file)
            self.cubic, self._packed = VOXELS[name], self._file[name]
            self.shape = tuple(map(int, self._file.attrs["shape"]))
            self.origin = json.loads(self._file.attrs["origin"])
            self.writer = str(self._file.attrs["writer"])
            self.families = _families(self._file)
            self._rows = np.arange(len(self._packed))
            _check_shape(self)
            _check_columns(self)
        except HomogError:
            self._file.close()
            raise
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            self._file.close()
            raise DataError(f"not a dataset file of homog ({error}); see homog pack") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file; what was read stays valid."""
        self._file.close()

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        row = self._rows[index]
        if np.ndim(row):
            raise TypeError("an index gives one unit; use select for several")
        return next(self._units(np.array([row])))

    def __iter__(self):
        for start in range(0, len(self), hdf5.ROWS):
            yield from self._units(self._rows[start : start + hdf5.ROWS])

    def __repr__(self):
        kind = "cubic unit cells" if self.cubic else "unit cells"
        voxels = " x ".join(map(str, self.shape))
        return f"<Dataset {self.path.name}: {len(self)} {kind} of {voxels} voxels>"

    def select(self, rows):
        """The dataset with a part of its units.

        Parameters
        ----------
        rows : slice, (k,) array of indices, or (len(self),) bool array
        """
        part = object.__new__(Dataset)
        part.__dict__.update(self.__dict__)
        part._rows = self._rows[rows]
        return part

    def sampled(self, count, seed=0):
        """The dataset with ``count`` random units, in their order, or all if there are fewer."""
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        return self.select(np.sort(chosen))

    @property
    def stored_shape(self):
        """Shape of what is stored of each unit: an octant, or the whole cell."""
        return tuple(n // 2 for n in self.shape) if self.cubic else self.shape

    @property
    def octants(self):
        """Octants: (k, nx/2, ny/2, nz/2) bool arrays when sliced; of cubic cells only."""
        if not self.cubic:
            raise DataError("no octants are stored, because not all cells of the file are cubic")
        return Slices(self, lambda stored: stored)

    @property
    def voxels(self):
        """Whole cells: (k, nx, ny, nz) bool arrays when sliced."""
        return Slices(self, unfold if self.cubic else lambda stored: stored)

    def packed(self, index):
        """Bits of the units that an index or a slice names, as stored."""
        return _rows_of(self._packed, self._rows[index])

    def column(self, name):
        """A column of ``COLUMNS``, (n, ...) array."""
        return _rows_of(self._file[name], self._rows)

    def cells(self):
        """What is stored besides labels, as ``Cells``."""
        columns = {name: self.column(name) for name in COLUMNS if name != "hash"}
        packed = self.packed(slice(None))
        return Cells(packed, self.shape, self.cubic, columns, self.families, self.origin)

    @property
    def volume_fraction(self):
        """Volume fraction of the solid, (n,) array."""
        return self.column("volume_fraction")

    @property
    def family(self):
        """Name of the family of each unit, (n,) array of str."""
        return np.array([name for name, _, _ in self.families])[self.column("family")]

    @property
    def source(self):
        """Source of each unit, (n,) array of str."""
        return np.array([source for _, source, _ in self.families])[self.column("family")]

    @property
    def labels(self):
        """Properties at the nominal material, ``{name: (n,) array}``; empty before labelling."""
        return self.group("labels")

    @property
    def scattered(self):
        """Properties of units that each have a solid of their own; empty before labelling."""
        return self.group("scattered")

    def group(self, name):
        """Columns of a group as a mapping, empty if it is not there."""
        return Labels(self._file.get(name, {}), self._rows)

    def _units(self, rows):
        """Units of a few rows, which are read at once."""
        columns = {name: _rows_of(self._file[name], rows) for name in COLUMNS}
        packed = _rows_of(self._packed, rows)
        for place, row in enumerate(rows):
            of = {name: column[place] for name, column in columns.items()}
            name, source, names = self.families[of["family"]]
            values = map(float, of["parameters"][: len(names)])
            yield DatasetUnit(
                index=int(row),
                stored=unpack(packed[place], self.stored_shape),
                cubic=self.cubic,
                family=name,
                source=source,
                parameters=dict(zip(names, values, strict=True)),
                level=float(of["level"]),
                volume_fraction=float(of["volume_fraction"]),
                smallest_feature=int(of["smallest_feature"]),
                open_cell=bool(of["open_cell"]),
                hash=of["hash"].tobytes().hex(),
            )


class Slices:
    """Voxels of a dataset, read when indexed."""

    def __init__(self, dataset, change):
        self._dataset, self._change = dataset, change
        self.shape = (len(dataset), *change(np.zeros(dataset.stored_shape, bool)).shape)

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, index):
        stored = unpack(self._dataset.packed(index), self._dataset.stored_shape)
        return self._change(stored)


class Labels(Mapping):
    """Columns of a group of a dataset file, read when asked for; ``attributes`` of the group."""

    def __init__(self, group, rows):
        self._group, self._rows = group, rows
        self.attributes = dict(group.attrs) if len(group) else {}

    def __getitem__(self, name):
        return _rows_of(self._group[name], self._rows)

    def __iter__(self):
        return iter(self._group)

    def __len__(self):
        return len(self._group)


def _rows_of(data, rows):
    """Rows of a dataset of HDF5, intact."""
    try:
        return _read_rows(data, rows)
    except OSError as error:  # a checksum or a compressed block that does not fit
        raise DataError(f"{data.name[1:]!r} is damaged; copy or write the file again") from error


def _read_rows(data, rows):
    """Rows of a dataset of HDF5, which takes them only in order, and slices fastest."""
    if np.ndim(rows) == 0:
        return data[rows]
    if len(rows) == 0:
        return data[:0]
    first, last = rows.min(), rows.max() + 1
    if len(rows) * 8 >= last - first:
        return data[first:last][rows - first]
    order, places = np.unique(rows, return_inverse=True)
    return data[order][places]


def _checked_head(file):
    """Name of the packed voxels of a dataset file of a known version."""
    if file.attrs.get("format") != FORMAT:
        raise DataError("an HDF5 file, but not a dataset of homog; see homog pack")
    if not 1 <= file.attrs["version"] <= VERSION:
        raise DataError(f"version {file.attrs['version']} of the format; update homog to read it")
    found = [name for name in VOXELS if name in file]
    if len(found) != 1:
        raise DataError(f"expected voxels as one of {', '.join(VOXELS)}, got {len(found)} of them")
    return found[0]


def _families(file):
    """Name, source and parameters of each family."""
    columns = [file["families"][name] for name in NAMES]
    if any(column.ndim != 1 or column.dtype.kind != "S" for column in columns):
        raise DataError("the families are no lists of names; write the file again")
    texts = [np.char.decode(_rows_of(c, np.arange(len(c))), "utf-8").tolist() for c in columns]
    return [(name, source, tuple(of.split())) for name, source, of in zip(*texts, strict=True)]


def _check_shape(dataset):
    """Voxels of a sensible shape, some units of them, and an origin that can be read."""
    shape, count = dataset.shape, len(dataset)
    if len(shape) != 3 or not all(1 <= n <= 4096 for n in shape):
        raise DataError(f"expected a shape of three positive numbers, got {shape}")
    if dataset.cubic and (len(set(shape)) > 1 or shape[0] % 2):
        raise DataError(f"expected octants of an even cube, got the shape {shape}")
    size = -(-int(np.prod(dataset.stored_shape)) // 8)
    if dataset._packed.shape != (count, size) or dataset._packed.dtype != np.uint8:
        raise DataError(f"expected {size} bytes of voxels a unit, got {dataset._packed.shape}")
    if not count:
        raise DataError("the file holds no units; generate or pack some")
    if not isinstance(dataset.origin, dict):
        raise DataError("attribute 'origin' is no JSON object; write the file again")


def _check_columns(dataset):
    """All columns of their types and lengths, and of values that mean something."""
    file, count, free = dataset._file, len(dataset), available_memory()
    if free is not None and sum(file[name].nbytes for name in COLUMNS) > free:
        raise DataError(f"columns of {count} units exceed the free memory; use a larger machine")
    for name, (kind, ndim) in COLUMNS.items():
        column = file[name]
        if column.dtype.kind != kind or column.ndim != ndim or len(column) != count:
            raise DataError(f"column {name!r} is not one of {count} units; write the file again")
    family = dataset.column("family")
    if not (0 <= family.min() and family.max() < len(dataset.families)):
        raise DataError("column 'family' leaves the list of families; write the file again")
    if max(len(names) for _, _, names in dataset.families) > file["parameters"].shape[1]:
        raise DataError("column 'parameters' has too few values; write the file again")
    if not np.all(np.abs(dataset.volume_fraction - 0.5) <= 0.5):  # also rejects NaN
        raise DataError("column 'volume_fraction' leaves [0, 1]; write the file again")
    for group in {"labels", "scattered", "effort"} & set(file):
        for name, column in file[group].items():
            if len(column) != count:
                raise DataError(f"column {group}/{name} is not one of {count} units")
