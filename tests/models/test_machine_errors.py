"""A full disk is recognised whoever says so, and so is what was raised because of it; bugs stay bugs.

`/dev/full` answers every write as a full disk does.
"""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import UserError
from models.machine_errors import FullDisk, as_user_error, full_disk


def of_system() -> None:
    with open("/dev/full", "w", encoding="ascii") as stream:
        stream.write("x")


def of_sqlite() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 1")
    database.execute("CREATE TABLE one (number)")


def of_hdf5() -> None:
    import h5py

    h5py.File("/dev/full", "w")["array"] = [0.0] * 100_000


def of_tensorflow() -> None:
    import tensorflow as tf

    tf.io.write_file("/dev/full", b"x")


def of_other_process() -> None:
    script = "import os; os.write(os.open('/dev/full', os.O_WRONLY), b'x')"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    raise UserError(f"the process failed: {finished.stderr.splitlines()[-1]}")


def of_quota() -> None:
    raise OSError(errno.EDQUOT, "Disk quota exceeded", "file")


def wrapped() -> None:
    try:
        of_system()
    except OSError as error:
        raise UserError("no weights: the download failed", "download them by hand") from error


def closing_afterwards() -> None:
    try:
        of_system()
    finally:
        raise RuntimeError("unable to close")


@pytest.mark.parametrize(
    "fail",
    [
        of_system,
        of_sqlite,
        of_hdf5,
        of_tensorflow,
        of_other_process,
        of_quota,
        wrapped,
        closing_afterwards,
    ],
    ids=lambda fail: fail.__name__,
)
def test_a_full_disk_is_one_error_whoever_says_so(fail: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught:  # each library has a type of its own
        fail()
    error = as_user_error(caught.value)
    assert isinstance(error, FullDisk)
    assert error.message.startswith("no space left on the disk")
    assert error.hint.startswith("free some space on it")
    assert error.exit_code == 1


def test_the_error_names_what_was_written(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))
    assert str(full_disk(error)) == f"no space left on the disk: `{tmp_path}/a`"
    assert str(full_disk(error, "the/cache")) == "no space left on the disk: `the/cache`"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        sqlite3.OperationalError("unable to open database file"),
        RuntimeError("a bug"),
    ],
)
def test_another_error_is_not_a_full_disk(error: Exception) -> None:
    assert full_disk(error) is None
    assert as_user_error(error) is None


def test_an_error_that_was_raised_instead_of_a_full_disk_stays() -> None:
    try:
        try:
            of_system()
        except OSError:
            raise UserError("another reason") from None
    except UserError as error:
        assert as_user_error(error) is error
