"""Divide images into train, validation and test by their content.

The first 64 bits of an image's SHA-256, read as a fraction u in [0, 1), say where it belongs: train below 0.8,
validation below 0.9, test above. So identical images fall into one part whatever they are called, the result depends
on no seed and no order, and adding pictures later moves none of those already there. Class by class the shares are
80/10/10 on average, not exactly: exactness would need images to move when others are added.

A small class may get no image in a part. Then the image of that class whose u is nearest to that part's range is
moved there (with all its copies), and a remark says so. Such an image may go back to its own part when the class
grows; no other ever moves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.errors import UserError
from pipelines.data.listing import ListedFile
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import name_list, one_line

Ranges = dict[Split, tuple[tuple[float, float], ...]]
THREE_WAY: Ranges = {"train": ((0.0, 0.8),), "validation": ((0.8, 0.9),), "test": ((0.9, 1.0),)}
# Where the user gives a test part and no validation part, a tenth of the training images becomes one; the range is
# that of THREE_WAY, so that the same images are the validation part with and without a given test part.
TWO_WAY: Ranges = {"train": ((0.0, 0.8), (0.9, 1.0)), "validation": ((0.8, 0.9),)}


def position(sha256: str) -> float:
    """Where a content hash (hexadecimal) falls in [0, 1)."""
    # 53 bits are what a float holds: with more, the topmost hashes would round up to 1.0.
    return float(int(sha256[:16], 16) >> 11) / 2.0**53


def divide(readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str]) -> tuple[list[Split], list[str]]:
    """Give each image its part.

    Args:
        readable: the entries that are images, with the SHA-256 of their content. Either all have a given split or
            none has. A given split is kept; only a missing validation part is carved out of train.
        class_names: what the entries' labels index.

    Returns:
        The part of each entry, in order, and remarks: images moved so that each part has every class, images that
        stand in two given parts, identical images with different labels.

    Raises:
        UserError: names a class that has too few distinct images to have one in each part, or the part that lacks
            a class.
    """
    remarks = _contradictions(readable, class_names)
    given = {entry.split for entry, _ in readable if entry.split}
    if not given:
        return _by_content(readable, class_names, THREE_WAY, remarks), remarks
    parts: list[Split] = [entry.split or "train" for entry, _ in readable]
    if "validation" not in given:
        trained = [place for place, part in enumerate(parts) if part == "train"]
        carved = _by_content([readable[place] for place in trained], class_names, TWO_WAY, remarks)
        for place, part in zip(trained, carved, strict=True):
            parts[place] = part
        count = carved.count("validation")
        remarks.append(f"no validation part is given: {count:,} of {len(trained):,} training images are used as one")
    _require_every_class(readable, parts, class_names)
    remarks.extend(_leaks(readable, parts))
    return parts, remarks


@dataclass(slots=True)
class _Division:
    """The parts while they are put right: all copies of one content move together."""

    ranges: Ranges
    labels: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # content -> its classes
    contents: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))  # class -> its contents
    part: dict[str, Split] = field(default_factory=dict)  # content -> its part
    held: Counter[tuple[int, Split]] = field(default_factory=Counter)  # distinct contents of a class in a part

    def home(self, sha256: str) -> Split:
        u = position(sha256)
        return next(part for part, spans in self.ranges.items() if any(low <= u < high for low, high in spans))

    def place(self, sha256: str, part: Split) -> None:
        before = self.part.get(sha256)
        self.part[sha256] = part
        for label in self.labels[sha256]:
            if before is not None:
                self.held[label, before] -= 1
            self.held[label, part] += 1

    def distance(self, sha256: str, part: Split) -> tuple[float, str]:
        u = position(sha256)
        return min(max(low - u, u - high, 0.0) for low, high in self.ranges[part]), sha256

    def spare(self, sha256: str) -> bool:
        """Whether the content can leave its part without taking a class's last image from it."""
        return all(self.held[label, self.part[sha256]] > 1 for label in self.labels[sha256])


def _by_content(
    readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str], ranges: Ranges, remarks: list[str]
) -> list[Split]:
    """Divide by content hash, then move the fewest images that give each part every class."""
    division = _Division(ranges)
    for entry, sha256 in readable:
        division.labels[sha256].add(entry.label)
        division.contents[entry.label].add(sha256)
    _require_distinct(division, class_names)
    for sha256 in division.labels:
        division.place(sha256, division.home(sha256))
    moved: list[str] = []
    for label, name in enumerate(class_names):
        for part in ranges:
            if division.held[label, part]:
                continue
            spare = [sha256 for sha256 in division.contents[label] if division.spare(sha256)]
            if not spare:
                raise UserError(
                    f"class `{one_line(name)}` cannot have an image in each part: too many of its images stand in "
                    "other classes as well",
                    "remove the copies, or add images of the class",
                )
            division.place(min(spare, key=lambda sha256: division.distance(sha256, part)), part)
            moved.append(name)
    if moved:
        remarks.append(
            f"{len(moved):,} images of small classes were moved so that each part has every class: {name_list(set(moved))}"
        )
    return [division.part[sha256] for _, sha256 in readable]


def _require_distinct(division: _Division, class_names: Sequence[str]) -> None:
    needed = len(division.ranges)
    few = [name for label, name in enumerate(class_names) if len(division.contents[label]) < needed]
    if few:
        count = len(division.contents[list(class_names).index(few[0])])
        raise UserError(
            f"class `{one_line(few[0])}` has {count} distinct {'image' if count == 1 else 'images'}, and {needed} are "
            f"needed, one for each of {', '.join(division.ranges)}" + _others(few),
            "add images of it, or take the class out",
        )


def _require_every_class(
    readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split], class_names: Sequence[str]
) -> None:
    held = {(entry.label, part) for (entry, _), part in zip(readable, parts, strict=True)}
    for part in (split for split in SPLITS if split in parts):
        bare = [name for label, name in enumerate(class_names) if (label, part) not in held]
        if bare:
            raise UserError(
                f"class `{one_line(bare[0])}` has no readable image in the part `{part}`{_others(bare)}",
                "add images of it there, or take the class out of every part",
            )


def _contradictions(readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str]) -> list[str]:
    """Say how many contents stand in several classes: one of the labels must be wrong."""
    first: dict[str, ListedFile] = {}
    torn: dict[str, tuple[ListedFile, ListedFile]] = {}
    for entry, sha256 in readable:
        earlier = first.setdefault(sha256, entry)
        if earlier.label != entry.label:
            torn.setdefault(sha256, (earlier, entry))
    if not torn:
        return []
    one, other = min(torn.values(), key=lambda pair: pair[0].path)
    return [
        f"{len(torn):,} images stand in two classes with identical content, such as `{one_line(one.path)}` "
        f"({one_line(class_names[one.label])}) and `{one_line(other.path)}` ({one_line(class_names[other.label])})"
    ]


def _leaks(readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split]) -> list[str]:
    """Say how many contents stand in two parts: what is measured there is flattered."""
    first: dict[str, tuple[ListedFile, Split]] = {}
    leaked: dict[str, str] = {}
    for (entry, sha256), part in zip(readable, parts, strict=True):
        earlier, earlier_part = first.setdefault(sha256, (entry, part))
        if earlier_part != part:
            leaked.setdefault(
                sha256, f"`{one_line(earlier.path)}` ({earlier_part}) and `{one_line(entry.path)}` ({part})"
            )
    if not leaked:
        return []
    return [f"{len(leaked):,} images stand in two parts with identical content, such as {min(leaked.values())}"]


def _others(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1:,} classes more)" if len(names) > 1 else ""
