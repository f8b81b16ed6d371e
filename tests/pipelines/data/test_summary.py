"""What a training says that it has understood of the images."""

from __future__ import annotations

from pipelines.data.summary import summarise
from pipelines.runs.examples import Dataset, Example, Split


def dataset(*counts: dict[Split, int]) -> Dataset:
    """Classes `a`, `b` and so on with so many images in each part."""
    examples = tuple(
        Example(path=f"/{label}/{part}/{number}", label=label, split=part, sha256="0", source="")
        for label, parts in enumerate(counts)
        for part, count in parts.items()
        for number in range(count)
    )
    return Dataset(root="photos", origin="folders", class_names=tuple("abc"[: len(counts)]), examples=examples)


def test_images_classes_parts_and_the_smallest_class_are_counted() -> None:
    data = dataset(
        {"train": 1_000, "validation": 20, "test": 30}, {"train": 7, "validation": 1}, {"train": 8, "test": 1}
    )
    assert summarise(data) == (
        "1,067 images of 3 classes: 1,015 to train on, 21 validation, 31 test",
        "smallest class `b`: 8 images (7 to train on, 1 validation, 0 test); largest `a`: 1,050",
    )


def test_classes_of_one_size_are_one_phrase() -> None:
    assert summarise(dataset({"train": 5, "validation": 1}, {"train": 5, "validation": 1})) == (
        "12 images of 2 classes: 10 to train on, 2 validation",
        "each class has 6 images",
    )
