"""A lock keeps other processes out, names its owner, and ends with it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.system.lock import LOCK_FILE, is_locked, lock_folder, unlock_folder

ROOT = Path(__file__).resolve().parents[3]
TRY = """
import sys
from pathlib import Path
from models.errors import UserError
from pipelines.system.lock import is_locked, lock_folder
print(is_locked(Path(sys.argv[1])))
try:
    print(lock_folder(Path(sys.argv[1])))
except UserError as error:
    print(error.message)
"""


def another_process(folder: Path) -> list[str]:
    """What another process says of the lock, and when it tries to get it."""
    done = subprocess.run(
        [sys.executable, "-c", TRY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_lock_is_held_against_others_and_not_against_its_owner(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert lock_folder(tmp_path)
    assert lock_folder(tmp_path)
    held, refusal = another_process(tmp_path)
    assert held == "True"
    assert refusal.startswith(f"`{tmp_path}` is in use: process {os.getpid()} on {socket.gethostname()}, since 20")
    unlock_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert another_process(tmp_path) == ["False", "True"]


def test_a_lock_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    lock_folder(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert is_locked(tmp_path / "b")
    unlock_folder(tmp_path / "b")
    assert not is_locked(tmp_path / "b")


def test_the_file_of_a_dead_owner_locks_nothing(tmp_path: Path) -> None:
    assert another_process(tmp_path) == ["False", "True"]
    assert (tmp_path / LOCK_FILE).is_file()  # it died without a word
    assert not is_locked(tmp_path)
    assert lock_folder(tmp_path)
    unlock_folder(tmp_path)


def test_a_disk_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert not lock_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_owner_of_a_folder_that_cannot_be_locked_is_on_one_line(tmp_path: Path) -> None:
    with open(tmp_path / LOCK_FILE, "w") as stream:
        stream.write("two\nlines\n")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(UserError) as raised:
            lock_folder(tmp_path)
    assert "\n" not in raised.value.message
