"""Says what a training has understood of the user's images, and whether an audit would show what is wrong."""

from __future__ import annotations

import shlex
from collections import Counter

from pipelines.runs.examples import SPLITS, Dataset
from pipelines.system.text import counted, one_line


def summarise(dataset: Dataset) -> tuple[str, ...]:
    """The number of images, classes and parts; then the smallest class, and the largest where that has many more.

    Args:
        dataset: checked and divided.
    """
    class_counts = Counter(example.label for example in dataset.examples)
    part_counts = Counter(example.split for example in dataset.examples)
    names = {"train": "to train on", "validation": "validation", "test": "test"}
    parts = ", ".join(f"{part_counts[part]:,} {names[part]}" for part in SPLITS if part_counts[part])
    lines = [
        f"{counted(len(dataset.examples), 'image')} of {counted(len(class_counts), 'class', 'classes')}: {parts}",
    ]
    largest, smallest = (choose(class_counts, key=lambda label: class_counts[label]) for choose in (max, min))
    if class_counts[largest] == class_counts[smallest]:
        return (*lines, f"each class has {counted(class_counts[smallest], 'image')}")
    by_part = Counter(example.split for example in dataset.examples if example.label == smallest)
    divided = ", ".join(f"{by_part[part]:,} {names[part]}" for part in SPLITS if part_counts[part])
    lines.append(
        f"smallest class `{one_line(dataset.class_names[smallest])}`: {counted(class_counts[smallest], 'image')} "
        f"({divided}); largest `{one_line(dataset.class_names[largest])}`: {class_counts[largest]:,}"
    )
    return tuple(lines)


def audit_line(dataset: Dataset) -> str | None:
    """The command that shows what the check of the images has met; None where it has met nothing.

    That is files that are not images, images in two classes or parts, and near duplicates in two parts.

    Args:
        dataset: checked and divided.
    """
    if not dataset.skipped and not _has_copies_apart(dataset):
        return None
    root = one_line(shlex.quote(dataset.root))
    return f"`headstart audit {root} --out DIR` shows these images, and looks for wrong labels and shortcuts"


def _has_copies_apart(dataset: Dataset) -> bool:
    """Whether one content, or near duplicates, are in two classes or parts."""
    place_of: dict[str, tuple[int, str]] = {}
    for example in dataset.examples:
        place = (example.label, example.split)
        # Near duplicates are of one class.
        for key in (example.sha256, f"near {example.near_duplicate}"):
            if key != "near None" and place_of.setdefault(key, place) != place:
                return True
    return False
