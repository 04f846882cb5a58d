"""Output that is there whole or not at all."""

import os
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from homog.errors import ParameterError

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)  # of damaged arrays


def check_output(path, force=False):
    """Refuse an output before work begins on it.

    Raises
    ------
    ParameterError
        If its folder is missing or read-only, or the file exists and is not to be replaced.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"{path}: no folder {path.parent}; make it first")
    if path.is_dir():
        raise ParameterError(f"{path}: expected a file to write, got a folder; name a file in it")
    if path.exists() and not force:
        raise ParameterError(f"{path}: exists already; use --force to replace it")
    if not os.access(path.parent, os.W_OK):
        raise ParameterError(f"{path}: folder {path.parent} is read-only; name another one")


def make_folder(path, parents=False):
    """Make a folder for output, unless it is there.

    Raises
    ------
    ParameterError
        If it cannot be made.
    """
    try:
        Path(path).mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror}; name another folder") from error


def write_array(path, array):
    """Write a .npy file like ``write_atomically``."""
    stream = BytesIO()
    np.save(stream, array)
    write_atomically(path, stream.getbuffer())


def write_arrays(path, arrays):
    """Write an .npz file of ``{name: array}`` like ``write_atomically``."""
    stream = BytesIO()
    np.savez(stream, **arrays)
    write_atomically(path, stream.getbuffer())


def write_atomically(path, content, check=None):
    """Write a file so that a crash or a full disk leaves the old one, or the new one whole.

    Parameters
    ----------
    path : str or Path
    content : bytes-like
    check : callable, optional
        Called with the path of the new file before it takes the name; raises to refuse it.

    Raises
    ------
    OSError
        If writing fails; it names the file, and nothing is left behind.
    """
    path = Path(path)
    try:
        _write(path, content, check)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    _sync_folder(path.parent)


def _write(path, content, check):
    """Write under another name, and take the right one when all is there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        if check:
            check(temporary)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync_folder(folder):
    """The name of a new file is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
