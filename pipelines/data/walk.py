"""Lists a folder and walks through the folders below it, without hidden files and endless links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from pipelines.data.listing import natural_key

# What operating systems and archivers leave beside pictures; names that begin with a dot are hidden as well.
LITTER = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not part of the user's data."""
    return name.startswith(".") or name.casefold() in LITTER


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """The names of the visible folders and of the visible files directly in `folder`, in no order.

    What is neither folder nor file (a dangling link, a pipe) counts as a file, so that it is reported as unreadable.

    Raises:
        OSError: the folder cannot be listed.
    """
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            # A link that points to itself makes DirEntry.is_dir raise; os.path.isdir returns False.
            is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir(follow_symlinks=False)
            (folders if is_folder else files).append(entry.name)
    return folders, files


def walk(folder: str, *, ordered: bool, on_error: Callable[[str, OSError], None]) -> Iterator[tuple[str, str]]:
    """Every visible file below `folder`, at any depth: its path, and the path of its real folder.

    A folder reached twice (through a link, a loop of links) is walked once. Memory is that of one folder's names and
    of the folders' paths.

    Args:
        folder: where to begin; the yielded paths begin with it.
        ordered: files in natural order, then the folders beside them; False is faster.
        on_error: called with the path and the error of a folder that cannot be listed; it may raise.
    """
    walked: set[str] = set()
    pending = [(folder, os.path.realpath(folder))]
    while pending:
        path, real = pending.pop()
        if real in walked:
            continue
        walked.add(real)
        try:
            folders, files = list_folder(path)
        except OSError as error:
            on_error(path, error)
            continue
        if ordered:
            files.sort(key=natural_key)
        for name in files:
            yield os.path.join(path, name), real
        folders.sort(key=natural_key, reverse=True)  # the last is walked first
        for name in folders:
            below = os.path.join(path, name)
            pending.append((below, os.path.realpath(below) if os.path.islink(below) else os.path.join(real, name)))
