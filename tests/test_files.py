"""Output that is there whole or not at all."""

import errno
import os
import stat

import pytest

from homog.errors import ParameterError
from homog.files import check_output, write_atomically


@pytest.fixture
def old(tmp_path):
    """A file that exists."""
    path = tmp_path / "old.h5"
    path.write_bytes(b"old")
    return path


def test_a_new_file_has_the_content_and_the_rights_of_any_other(tmp_path):
    path, other = tmp_path / "new.h5", tmp_path / "other"
    write_atomically(path, memoryview(b"new"))
    other.write_bytes(b"")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_an_old_file_is_replaced_and_nothing_else_stays(old):
    write_atomically(old, b"new")
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
def test_what_fails_leaves_the_old_file_and_no_other(old, function, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match=r"No space left on device: '.*old\.h5'$"):
        write_atomically(old, b"new")
    monkeypatch.undo()
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_an_interrupt_leaves_the_old_file_and_no_other(old, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(old, b"new")
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_new_file_that_is_refused_leaves_the_old_one(old):
    def refuse(path):
        with open(path, "rb") as stream:
            raise ParameterError(f"refused {stream.read()!r}")

    with pytest.raises(ParameterError, match="refused b'new'"):
        write_atomically(old, b"new", check=refuse)
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_outputs_that_cannot_be_written_are_refused_before_any_work(old, tmp_path, monkeypatch):
    check_output(tmp_path / "new.h5")
    check_output(old, force=True)
    with pytest.raises(ParameterError, match=r"old\.h5: exists already; use --force"):
        check_output(old)
    with pytest.raises(ParameterError, match=r"new\.h5: no folder .*missing; make it first"):
        check_output(tmp_path / "missing" / "new.h5")
    with pytest.raises(ParameterError, match="got a folder"):
        check_output(tmp_path, force=True)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ParameterError, match="is read-only; name another"):
        check_output(tmp_path / "new.h5")
