"""Says in two lines what a training has understood of the user's images."""

from __future__ import annotations

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
