"""Makes temporary folders that are deleted at the end, and those that killed processes left.

Each holds a lock file, which says that headstart made it, and whether its owner lives.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.system.lock import LOCK_FILE, is_locked, lock_folder, unlock_folder


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder, deleted when the block ends; folders of dead processes are deleted first.

    Args:
        prefix: of its name, and of the names of those that are swept.
        parent: where it is made; the system's place for temporary files by default.

    Raises:
        OSError: it cannot be made.
    """
    parent = parent or Path(tempfile.gettempdir())
    for left in parent.glob(f"{prefix}*"):
        if (left / LOCK_FILE).is_file() and not left.is_symlink() and not is_locked(left):
            shutil.rmtree(left, ignore_errors=True)  # another process may sweep it too
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        lock_folder(folder)
        yield folder
    finally:
        unlock_folder(folder)
        shutil.rmtree(folder, ignore_errors=True)
