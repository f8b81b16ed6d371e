"""Divides images into train, validation and test by their content.

The first 64 bits of an image's SHA-256, read as a fraction u in [0, 1), decide its part: train below 0.8, validation
below 0.9, test above. So identical images fall into one part whatever their names are, the result depends on no seed
and no order, and adding images later moves none of those already there. The shares of each class are 80/10/10 on
average, not exactly: with exact shares, adding images would move others.

Images of one given group, such as those of a person, go by the SHA-256 of the group's name instead, and so stay
together as identical images do, whatever their classes. Near duplicates go by the first of their hashes in order: one
that is added later may move its group, and nothing else.

A small class may get no image in a part. Then the image of that class whose u is nearest to that part's range moves
there (with its copies or its group), and a remark says so. Such an image may return to the part of its hash when the
class grows; no other image ever moves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from models.errors import UserError
from pipelines.data.duplicates import group_leaks, label_conflicts, leaks, near_leaks
from pipelines.data.groups import group_keys, say_ways
from pipelines.data.listing import ListedFile
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import counted, name_list, one_line

if TYPE_CHECKING:
    from pipelines.data.near_duplicates import NearDuplicates

Ranges = dict[Split, tuple[tuple[float, float], ...]]
THREE_WAY: Ranges = {"train": ((0.0, 0.8),), "validation": ((0.8, 0.9),), "test": ((0.9, 1.0),)}
# Where the user gives a test part and no validation part, a tenth of the training images becomes one; the range is
# that of THREE_WAY, so that the same images are the validation part with and without a given test part.
TWO_WAY: Ranges = {"train": ((0.0, 0.8), (0.9, 1.0)), "validation": ((0.8, 0.9),)}


def position(sha256: str) -> float:
    """The place of a content hash (hexadecimal) in [0, 1)."""
    # 53 bits are what a float holds: with more, the topmost hashes would round up to 1.0.
    return float(int(sha256[:16], 16) >> 11) / 2.0**53


def divide(
    readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str], near: NearDuplicates | None = None
) -> tuple[list[Split], list[str]]:
    """Give each image its part.

    Args:
        readable: the files that are images, with the SHA-256 of their content. Either all have a given split or none
            has. A given split is kept; only a missing validation part is taken from the training part.
        class_names: indexed by the files' labels.
        near: the near duplicates among them; None where they are not looked for.

    Returns:
        The part of each file, in order, and remarks: how many groups were divided, images moved so that each part has
        every class, classes that a given part lacks, images, near duplicates and groups that appear in two given
        parts, identical images with different labels.

    Raises:
        UserError: names a class that has too few distinct images or groups to have one in each part, or that has no
            training image.
    """
    remarks = label_conflicts(readable, class_names)
    given = {file.split for file, _ in readable if file.split}
    stand_in = near.stand_in if near else [None] * len(readable)
    images = [_Image(file, sha256, near) for (file, sha256), near in zip(readable, stand_in, strict=True)]
    way = near.way if near else ""
    if not given:
        return _divide_by_hash(images, class_names, THREE_WAY, way, remarks), remarks
    parts: list[Split] = [file.split or "train" for file, _ in readable]
    if "validation" not in given:
        train = [place for place, part in enumerate(parts) if part == "train"]
        divided = _divide_by_hash([images[place] for place in train], class_names, TWO_WAY, way, remarks)
        for place, part in zip(train, divided, strict=True):
            parts[place] = part
        count = divided.count("validation")
        remarks.append(f"no validation part is given: {count:,} of {len(train):,} training images are used as one")
    remarks.extend(_missing_classes(readable, parts, class_names))
    remarks.extend(leaks(readable, parts))
    remarks.extend(near_leaks(readable, parts, stand_in))
    remarks.extend(group_leaks(readable, parts))
    return parts, remarks


class _Image(NamedTuple):
    """An image to divide, with the hash of its content and the one that stands for its near duplicates."""

    file: ListedFile
    sha256: str
    near_duplicate: str | None


@dataclass(slots=True)
class _Division:
    """The part of each key of `pipelines.data.groups`; all images of a key move together."""

    ranges: Ranges
    has_groups: bool  # whether the user gave any
    labels: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # key -> its classes
    keys: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))  # class -> its keys
    parts: dict[str, Split] = field(default_factory=dict)  # key -> its part
    counts: Counter[tuple[int, Split]] = field(default_factory=Counter)  # (class, part) -> keys

    def part_by_hash(self, key: str) -> Split:
        u = position(key)
        return next(part for part, spans in self.ranges.items() if any(low <= u < high for low, high in spans))

    def assign(self, key: str, part: Split) -> None:
        before = self.parts.get(key)
        self.parts[key] = part
        for label in self.labels[key]:
            if before is not None:
                self.counts[label, before] -= 1
            self.counts[label, part] += 1

    def distance(self, key: str, part: Split) -> tuple[float, str]:
        """How far the key is from the range of a part; the key itself breaks ties."""
        u = position(key)
        return min(max(low - u, u - high, 0.0) for low, high in self.ranges[part]), key

    def is_spare(self, key: str) -> bool:
        """Whether the key can leave its part without taking a class's last image from it."""
        return all(self.counts[label, self.parts[key]] > 1 for label in self.labels[key])


def _divide_by_hash(
    images: Sequence[_Image], class_names: Sequence[str], ranges: Ranges, way: str, remarks: list[str]
) -> list[Split]:
    """Divide by the hash of contents and groups, then move the fewest of them that give each part every class."""
    given, near = [image.file.group for image in images], [image.near_duplicate for image in images]
    keys = group_keys([image.sha256 for image in images], given, near)
    division = _Division(ranges, has_groups=any(given))
    for image, key in zip(images, keys, strict=True):
        division.labels[key].add(image.file.label)
        division.keys[image.file.label].add(key)
    _require_distinct(division, class_names)
    for key in division.labels:
        division.assign(key, division.part_by_hash(key))
    if len(division.labels) < len(images):
        said = say_ways(has_groups=division.has_groups, near=way if any(near) else None)
        groups = counted(len(division.labels), "group")
        remarks.append(f"{counted(len(images), 'image')} in {groups} ({said}), each of them in one part")
    moved = _fill_empty_parts(division, class_names)
    if moved:
        classes = name_list(dict.fromkeys(moved))
        remarks.append(
            f"{counted(len(moved), 'group' if division.has_groups or any(near) else 'image')} of small classes "
            f"{'was' if len(moved) == 1 else 'were'} moved so that each part has every class: {classes}"
        )
    return [division.parts[key] for key in keys]


def _fill_empty_parts(division: _Division, class_names: Sequence[str]) -> list[str]:
    """Move an image (with its group) into each part that lacks a class; the class of each image that moved."""
    moved: list[str] = []
    for label, name in enumerate(class_names):
        for part in division.ranges:
            if division.counts[label, part]:
                continue
            spare = [key for key in division.keys[label] if division.is_spare(key)]
            if not spare:
                kind, copies = ("groups have images of", "") if division.has_groups else ("images appear in", "copies")
                raise UserError(
                    f"class `{one_line(name)}` cannot have an image in each part: too many of its {kind} "
                    f"other classes as well",
                    f"remove the {copies}, or add images of the class" if copies else "add images of other groups",
                )
            division.assign(min(spare, key=lambda key: division.distance(key, part)), part)
            moved.append(name)
    return moved


def _require_distinct(division: _Division, class_names: Sequence[str]) -> None:
    needed = len(division.ranges)
    small = [label for label in range(len(class_names)) if len(division.keys[label]) < needed]
    if small:
        names = [class_names[label] for label in small]
        kind = "group" if division.has_groups else "distinct image"
        raise UserError(
            f"class `{one_line(names[0])}` has {counted(len(division.keys[small[0]]), kind)}, and "
            f"{needed} are needed, one for each of {', '.join(division.ranges)}{_and_others(names)}",
            f"add images of {'other groups' if division.has_groups else 'it'}, or remove the class",
        )


def _missing_classes(
    readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split], class_names: Sequence[str]
) -> list[str]:
    """A remark for each given part that lacks classes; what the training part lacks cannot be learned."""
    present = {(file.label, part) for (file, _), part in zip(readable, parts, strict=True)}
    remarks = []
    for part in (split for split in SPLITS if split in parts):
        missing = [name for label, name in enumerate(class_names) if (label, part) not in present]
        if missing and part == "train":
            raise UserError(
                f"class `{one_line(missing[0])}` has no readable image in the part `{part}`{_and_others(missing)}",
                "add images of it there, or remove the class from every part",
            )
        if missing:
            remarks.append(
                f"the {part} part has images of {len(class_names) - len(missing):,} of {len(class_names):,} classes, "
                f"none of {name_list(missing)}: its scores are over the classes that are there"
            )
    return remarks


def _and_others(names: Sequence[str]) -> str:
    return f" (and {counted(len(names) - 1, 'more class', 'more classes')})" if len(names) > 1 else ""
