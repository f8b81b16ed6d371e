"""Defines the records of what a data set lists, before any image is opened, and the order of names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipelines.runs.examples import Split

Origin = Literal["folders", "split folders", "csv", "tfds"]
# The names that people give to the three parts; for folders and for the split column of a CSV.
PART_NAMES: dict[str, Split] = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
_DIGITS = re.compile("([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file that may be an image.

    Attributes:
        path: absolute; bytes that are not UTF-8 as surrogates.
        label: index into `Listing.class_names`.
        split: the part that the user gave it; None where the data is to be divided.
        group: of images that a division keeps together, as the user named it; None without one.
    """

    path: str
    label: int
    split: Split | None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files, classes and given parts of a data set; no file has been opened.

    Attributes:
        root: what the user typed.
        origin: how it was read.
        class_names: in natural order.
        files: every candidate; the content decides later which are images.
        remarks: lines that the user should read.
    """

    root: str
    origin: Origin
    class_names: tuple[str, ...]
    files: tuple[ListedFile, ...]
    remarks: tuple[str, ...] = ()

    @property
    def has_given_parts(self) -> bool:
        """Whether the user divided the data into parts."""
        return any(file.split for file in self.files)


def natural_key(name: str) -> tuple[object, ...]:
    """A sort key that puts `item2` before `item10`, ignores case first and is never equal for two names."""
    pieces: list[object] = []
    for place, piece in enumerate(_DIGITS.split(name.casefold())):
        # Digits compare by length, then as text: the same order as by value, without Python's limit on int().
        number = piece.lstrip("0")
        pieces.append((len(number), number) if place % 2 else piece)
    return (*pieces, (-1, ""), name)


def natural_order(names: Iterable[str]) -> list[str]:
    """The distinct names in natural order."""
    return sorted(set(names), key=natural_key)
