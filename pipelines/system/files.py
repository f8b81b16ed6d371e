"""Writes files atomically: a reader sees the whole new file or the old one, never a part."""

from __future__ import annotations

import csv
import ctypes
import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from models.machine_errors import NO_SPACE


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, in ASCII, so that stray bytes of file names (surrogates in Python) are kept.

    Raises:
        ValueError: a number is not finite; what was there before stays.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Write a CSV file atomically in UTF-8; stray bytes of names (surrogates in Python) stay as they are."""
    with (
        atomic(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


@contextmanager
def atomic(path: Path, suffix: str = "") -> Iterator[Path]:
    """A temporary file beside `path` that replaces it when the block succeeds, and is deleted when it raises.

    Args:
        path: the file to write; its folder exists.
        suffix: of the temporary file's name, for libraries that choose a format by it.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming_full_disk(path):
            yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp gives the owner alone access; this file gets the access that open() would give it.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Add a path to the error of a full disk: writing, unlike opening, does not say which file it was."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE and error.filename is None:
            error.filename = os.fspath(path)
        raise


def exchange(first: Path, second: Path) -> bool:
    """Give each of two files or folders the other's name, in one step; False where the file system cannot.

    Raises:
        OSError: one of them is not there, or may not be renamed.
    """
    current_folder, exchanged = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux's renameat2(2)
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(current_folder, os.fsencode(first), current_folder, os.fsencode(second), exchanged) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), os.fspath(first))
