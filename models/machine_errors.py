"""Turns errors of the machine (a full disk, too little memory, a missing right) into errors that the user can fix."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from models.errors import UserError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# Libraries quote the system: TensorFlow, h5py, the last line of another process.
_WORDS_OF_NO_SPACE = tuple(os.strerror(number) for number in NO_SPACE)
_SQLITE_FULL = 13  # sqlite3.SQLITE_FULL; importing it would cost each start 2 ms


class FullDisk(UserError):
    """A disk, or the user's quota on it, is full: no other attempt helps before there is room."""

    def __init__(self, message: str) -> None:
        """Keep the message; the hint is the same wherever a disk is full."""
        super().__init__(
            message, "free some space on it, or point `--out`, HEADSTART_CACHE or TMPDIR to a folder on another disk"
        )


def as_user_error(error: BaseException) -> UserError | None:
    """The error as one that the user can fix; None where it is a bug.

    A UserError stays as it is, unless it was raised because a disk is full.
    """
    if full := full_disk(error):
        return full
    if isinstance(error, UserError):
        return error
    # TensorFlow's error is known by its name, because TensorFlow need not be imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return UserError(
            "not enough memory", "a smaller `--batch` or `--image-size`, or a smaller backbone, needs less"
        )
    return _of_system(error) if isinstance(error, OSError) else None


def full_disk(error: BaseException, path: object = None) -> FullDisk | None:
    """The error for a full disk, where that is what an exception, or one that it was raised from, says; else None.

    Args:
        error: of the system, of SQLite, or of a library that quotes them.
        path: that was written; by default the one that the exception names.
    """
    for cause in _chain(error):
        if isinstance(cause, FullDisk):
            return cause
        if _says_full(cause):
            named = _named(cause) if path is None else f": `{path}`"
            return FullDisk(f"no space left on the disk{named}")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it was raised from, as a traceback shows them."""
    passed: list[BaseException] = []
    while error is not None and error not in passed:
        yield error
        passed.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NO_SPACE
    is_sqlite_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL
    return is_sqlite_full or any(words in str(error) for words in _WORDS_OF_NO_SPACE)


def _of_system(error: OSError) -> UserError | None:
    path = _named(error)
    match error.errno:
        case errno.EROFS:
            return UserError(f"the file system is read-only{path}", "point `--out` or HEADSTART_CACHE elsewhere")
        case errno.EACCES | errno.EPERM:
            return UserError(f"permission denied{path}", "get the right to it, or choose another place")
        case errno.EMFILE | errno.ENFILE:
            return UserError(f"too many open files{path}", "raise the limit with `ulimit -n 4096`")
        case errno.ENAMETOOLONG:
            return UserError(f"the name is too long{path}", "choose a shorter one")
        case errno.ENOTDIR | errno.EEXIST:
            return UserError(f"a file is where a folder is due{path}", "move it away, or choose another place")
        case errno.EISDIR:
            return UserError(f"a folder is where a file is due{path}", "move it away, or choose another place")
        case errno.ELOOP:
            return UserError(f"a link leads to itself{path}", "replace it, or choose another place")
        case errno.ENOENT if not _has_working_directory():
            return UserError("the working directory was deleted", "change to a folder that exists: `cd`")
    return None


def _named(error: BaseException) -> str:
    """The file that an exception of the system names, after a colon; empty where it names none."""
    filename = getattr(error, "filename", None)
    return f": `{os.fsdecode(filename)}`" if isinstance(filename, (str, bytes)) else ""


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
