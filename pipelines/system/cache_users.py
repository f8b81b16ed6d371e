"""Lets processes that read the cache say so, so that `headstart cache clear` leaves them what they read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.system.cache import cache_folder, make_cache_folder, writing_to_cache
from pipelines.system.lock import identity

USERS_FILE = ".in-use.lock"

# The shared locks of this process, by their files.
_shared: dict[Path, int] = {}


def use_cache() -> None:
    """Say, until this process ends, that it uses the cache; make the folder where need be.

    Raises:
        UserError: it cannot be made.
    """
    with writing_to_cache():
        make_cache_folder()
        file = cache_folder() / USERS_FILE
        while file not in _shared or identity(_shared[file]) != identity(file):
            if file in _shared:
                os.close(_shared.pop(file))  # the file of a cache that was deleted
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            _lock(descriptor, fcntl.LOCK_SH)
            _shared[file] = descriptor


@contextmanager
def used_alone() -> Iterator[bool]:
    """Whether no other process uses the cache; none begins to before the block ends.

    On a disk without locks nobody knows, and this is True.
    """
    file = cache_folder() / USERS_FILE
    if not file.is_file():
        yield True
        return
    shared = _shared.get(file)
    descriptor = os.open(file, os.O_RDWR) if shared is None else shared
    try:
        yield _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        if shared is None:
            os.close(descriptor)
        else:
            _lock(shared, fcntl.LOCK_SH)


def _lock(descriptor: int, operation: int) -> bool:
    """Lock a file; False where another process has it, True where the disk has no locks."""
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: as if nobody else were there
        return True
    return True
