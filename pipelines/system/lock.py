"""Keeps a second process out of a folder, with a lock that the system frees when its owner ends, however that happens.

The lock is `flock` on a file in the folder, which names its owner. It holds between the machines that share a network
file system, where that passes locks on, as NFS does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path

from models.errors import UserError
from pipelines.system.text import one_line

LOCK_FILE = ".headstart.lock"
# What a file system without locks answers.
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})

# The locks of this process, by device and inode of their files: it may open a folder again.
_held: dict[tuple[int, int], int] = {}


def lock_folder(folder: Path) -> bool:
    """Lock a folder until `unlock_folder`, or until this process ends; a folder that this process holds stays so.

    Args:
        folder: exists.

    Returns:
        Whether it is locked: False where the file system has no locks.

    Raises:
        UserError: another process holds it; the message names it.
    """
    file = folder / LOCK_FILE
    while True:
        if identity(file) in _held:
            return True
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 500).decode("utf-8", "replace").strip() or "another process"
            os.close(descriptor)
            raise UserError(
                f"`{folder}` is in use: {one_line(owner)} writes into it",
                "wait until it has ended, or stop it; or choose another --out",
            ) from None
        except OSError as error:
            os.close(descriptor)
            if error.errno not in NO_LOCKS:
                raise
            file.unlink(missing_ok=True)
            return False
        if identity(file) == identity(descriptor):
            break
        os.close(descriptor)  # Its owner ended and deleted it between our opening and our locking.
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode())
    _held[identity(descriptor)] = descriptor
    return True


def unlock_folder(folder: Path) -> None:
    """Delete the lock file of a folder and free the lock, if this process holds it."""
    file = folder / LOCK_FILE
    descriptor = _held.pop(identity(file), None)
    if descriptor is not None:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a living process, this one or another, holds the lock of a folder."""
    file = folder / LOCK_FILE
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # without locks nothing proves that the owner is dead
        return True
    finally:
        os.close(descriptor)
    return False


def identity(file: Path | int) -> tuple[int, int]:
    """The device and the inode of a file, given its path or a descriptor of it; zeros where it is not there."""
    try:
        status = os.fstat(file) if isinstance(file, int) else file.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_dev, status.st_ino)
