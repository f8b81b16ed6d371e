"""What stands in the user's data before any image is opened: records, names and the walk. Pure and light."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.runs.examples import Split

Origin = Literal["folders", "split folders", "csv", "tfds"]
# How people name the three parts; folders and the CSV's split column are read by the same table.
PART_NAMES: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
# What operating systems and archivers leave beside pictures; names that begin with a dot are hidden as well.
LITTER = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
)
_DIGITS = re.compile("([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One file that may be an image.

    Attributes:
        path: absolute; non-UTF-8 bytes as surrogates.
        label: index into `Listing.class_names`.
        split: the part the user gave it; None when the data is to be divided.
    """

    path: str
    label: int
    split: Split | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Files, classes and given parts; nothing has been opened yet.

    Attributes:
        root: what the user typed.
        origin: how it was read.
        class_names: in natural order.
        entries: every candidate file; the content decides later which are images.
        remarks: lines the user should read.
    """

    root: str
    origin: Origin
    class_names: tuple[str, ...]
    entries: tuple[ListedFile, ...]
    remarks: tuple[str, ...] = ()

    @property
    def divided(self) -> bool:
        """Whether the user gave the parts."""
        return any(entry.split for entry in self.entries)


def natural_key(name: str) -> tuple[object, ...]:
    """A sort key that puts `item2` before `item10`, ignores case first and is never a tie for two names."""
    pieces: list[object] = []
    for place, piece in enumerate(_DIGITS.split(name.casefold())):
        # Digits compare by length, then as text: the same order as by value, without Python's limit on int().
        number = piece.lstrip("0")
        pieces.append((len(number), number) if place % 2 else piece)
    return (*pieces, (-1, ""), name)


def natural_order(names: Iterable[str]) -> list[str]:
    """The distinct names in natural order."""
    return sorted(set(names), key=natural_key)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data of the user's."""
    return name.startswith(".") or name.casefold() in LITTER


def visible(folder: str) -> tuple[list[str], list[str]]:
    """The names of the visible folders and of the visible files directly in `folder`, in no order.

    What is neither folder nor file (a dangling link, a pipe) counts as a file, so that it is named when it
    turns out to be unreadable.

    Raises:
        OSError: the folder cannot be listed.
    """
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as found:
        for each in found:
            if is_hidden(each.name):
                continue
            # A link that points to itself makes DirEntry.is_dir raise; os.path.isdir says no.
            is_folder = os.path.isdir(each.path) if each.is_symlink() else each.is_dir(follow_symlinks=False)
            (folders if is_folder else files).append(each.name)
    return folders, files


def walk(folder: str, *, ordered: bool, unlistable: Callable[[str, OSError], None]) -> Iterator[tuple[str, str]]:
    """Every visible file below `folder`, at any depth: its path, and the path of its real folder.

    A folder reached twice (through a link, a loop of links) is walked once. Memory is that of one folder's names
    and of the folders' paths.

    Args:
        folder: where to begin; the paths given back begin with it.
        ordered: files in natural order, then the folders beside them; False is faster.
        unlistable: called with the path and the error of a folder that cannot be listed; it may raise.
    """
    seen: set[str] = set()
    waiting = [(folder, os.path.realpath(folder))]
    while waiting:
        path, real = waiting.pop()
        if real in seen:
            continue
        seen.add(real)
        try:
            folders, files = visible(path)
        except OSError as error:
            unlistable(path, error)
            continue
        if ordered:
            files.sort(key=natural_key)
        for name in files:
            yield os.path.join(path, name), real
        folders.sort(key=natural_key, reverse=True)  # the last is walked first
        for name in folders:
            below = os.path.join(path, name)
            waiting.append((below, os.path.realpath(below) if os.path.islink(below) else os.path.join(real, name)))
