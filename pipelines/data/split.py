"""Divides images into train, validation and test by their content.

The first 64 bits of an image's SHA-256, read as a fraction u in [0, 1), decide its part: train below 0.8, validation
below 0.9, test above. So identical images fall into one part whatever their names are, the result depends on no seed
and no order, and adding images later moves none of those already there. The shares of each class are 80/10/10 on
average, not exactly: with exact shares, adding images would move others.

A small class may get no image in a part. Then the image of that class whose u is nearest to that part's range moves
there (with all its copies), and a remark says so. Such an image may return to the part of its hash when the class
grows; no other image ever moves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.errors import UserError
from pipelines.data.duplicates import label_conflicts, leaks
from pipelines.data.listing import ListedFile
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import counted, name_list, one_line

Ranges = dict[Split, tuple[tuple[float, float], ...]]
THREE_WAY: Ranges = {"train": ((0.0, 0.8),), "validation": ((0.8, 0.9),), "test": ((0.9, 1.0),)}
# Where the user gives a test part and no validation part, a tenth of the training images becomes one; the range is
# that of THREE_WAY, so that the same images are the validation part with and without a given test part.
TWO_WAY: Ranges = {"train": ((0.0, 0.8), (0.9, 1.0)), "validation": ((0.8, 0.9),)}


def position(sha256: str) -> float:
    """The place of a content hash (hexadecimal) in [0, 1)."""
    # 53 bits are what a float holds: with more, the topmost hashes would round up to 1.0.
    return float(int(sha256[:16], 16) >> 11) / 2.0**53


def divide(readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str]) -> tuple[list[Split], list[str]]:
    """Give each image its part.

    Args:
        readable: the files that are images, with the SHA-256 of their content. Either all have a given split or none
            has. A given split is kept; only a missing validation part is taken from the training part.
        class_names: indexed by the files' labels.

    Returns:
        The part of each file, in order, and remarks: images moved so that each part has every class, images that
        appear in two given parts, identical images with different labels.

    Raises:
        UserError: names a class that has too few distinct images to have one in each part, or the part that lacks
            a class.
    """
    remarks = label_conflicts(readable, class_names)
    given = {file.split for file, _ in readable if file.split}
    if not given:
        return _divide_by_content(readable, class_names, THREE_WAY, remarks), remarks
    parts: list[Split] = [file.split or "train" for file, _ in readable]
    if "validation" not in given:
        train = [place for place, part in enumerate(parts) if part == "train"]
        divided = _divide_by_content([readable[place] for place in train], class_names, TWO_WAY, remarks)
        for place, part in zip(train, divided, strict=True):
            parts[place] = part
        count = divided.count("validation")
        remarks.append(f"no validation part is given: {count:,} of {len(train):,} training images are used as one")
    _require_every_class(readable, parts, class_names)
    remarks.extend(leaks(readable, parts))
    return parts, remarks


@dataclass(slots=True)
class _Division:
    """The part of each content; all copies of a content move together."""

    ranges: Ranges
    labels: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # content -> its classes
    contents: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))  # class -> its contents
    parts: dict[str, Split] = field(default_factory=dict)  # content -> its part
    counts: Counter[tuple[int, Split]] = field(default_factory=Counter)  # (class, part) -> distinct contents

    def part_by_hash(self, sha256: str) -> Split:
        u = position(sha256)
        return next(part for part, spans in self.ranges.items() if any(low <= u < high for low, high in spans))

    def assign(self, sha256: str, part: Split) -> None:
        before = self.parts.get(sha256)
        self.parts[sha256] = part
        for label in self.labels[sha256]:
            if before is not None:
                self.counts[label, before] -= 1
            self.counts[label, part] += 1

    def distance(self, sha256: str, part: Split) -> tuple[float, str]:
        """How far the content's hash is from the range of a part; the hash itself breaks ties."""
        u = position(sha256)
        return min(max(low - u, u - high, 0.0) for low, high in self.ranges[part]), sha256

    def is_spare(self, sha256: str) -> bool:
        """Whether the content can leave its part without taking a class's last image from it."""
        return all(self.counts[label, self.parts[sha256]] > 1 for label in self.labels[sha256])


def _divide_by_content(
    readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str], ranges: Ranges, remarks: list[str]
) -> list[Split]:
    """Divide by content hash, then move the fewest images that give each part every class."""
    division = _Division(ranges)
    for file, sha256 in readable:
        division.labels[sha256].add(file.label)
        division.contents[file.label].add(sha256)
    _require_distinct(division, class_names)
    for sha256 in division.labels:
        division.assign(sha256, division.part_by_hash(sha256))
    moved = _fill_empty_parts(division, class_names)
    if moved:
        classes = name_list(dict.fromkeys(moved))
        remarks.append(
            f"{counted(len(moved), 'image')} of small classes {'was' if len(moved) == 1 else 'were'} moved "
            f"so that each part has every class: {classes}"
        )
    return [division.parts[sha256] for _, sha256 in readable]


def _fill_empty_parts(division: _Division, class_names: Sequence[str]) -> list[str]:
    """Move an image into each part that lacks a class; the class of each image that moved."""
    moved: list[str] = []
    for label, name in enumerate(class_names):
        for part in division.ranges:
            if division.counts[label, part]:
                continue
            spare = [sha256 for sha256 in division.contents[label] if division.is_spare(sha256)]
            if not spare:
                raise UserError(
                    f"class `{one_line(name)}` cannot have an image in each part: too many of its images appear in "
                    "other classes as well",
                    "remove the copies, or add images of the class",
                )
            division.assign(min(spare, key=lambda sha256: division.distance(sha256, part)), part)
            moved.append(name)
    return moved


def _require_distinct(division: _Division, class_names: Sequence[str]) -> None:
    needed = len(division.ranges)
    small = [label for label in range(len(class_names)) if len(division.contents[label]) < needed]
    if small:
        names = [class_names[label] for label in small]
        raise UserError(
            f"class `{one_line(names[0])}` has {counted(len(division.contents[small[0]]), 'distinct image')}, and "
            f"{needed} are needed, one for each of {', '.join(division.ranges)}{_and_others(names)}",
            "add images of it, or remove the class",
        )


def _require_every_class(
    readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split], class_names: Sequence[str]
) -> None:
    present = {(file.label, part) for (file, _), part in zip(readable, parts, strict=True)}
    for part in (split for split in SPLITS if split in parts):
        missing = [name for label, name in enumerate(class_names) if (label, part) not in present]
        if missing:
            raise UserError(
                f"class `{one_line(missing[0])}` has no readable image in the part `{part}`{_and_others(missing)}",
                "add images of it there, or remove the class from every part",
            )


def _and_others(names: Sequence[str]) -> str:
    return f" (and {counted(len(names) - 1, 'more class', 'more classes')})" if len(names) > 1 else ""
