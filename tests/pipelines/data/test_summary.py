"""What a training says that it has understood of the images."""

from __future__ import annotations

import pytest

from pipelines.data.summary import audit_line, summarise
from pipelines.runs.examples import Dataset, Example, Skipped, Split


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


def images(*places: tuple[int, Split, str, str | None]) -> Dataset:
    """Images, each with its class, part, content and the content that stands for its near duplicates."""
    examples = tuple(
        Example(path=f"/{number}", label=label, split=split, sha256=sha256, source="", near_duplicate=near)
        for number, (label, split, sha256, near) in enumerate(places)
    )
    return Dataset(root="my photos", origin="folders", class_names=("a", "b"), examples=examples)


@pytest.mark.parametrize(
    ("places", "is_worth_it"),
    [
        ([(0, "train", "1", None), (1, "test", "2", None)], False),
        ([(0, "train", "1", None), (0, "train", "1", None)], False),
        ([(0, "train", "1", "1"), (0, "train", "2", "1")], False),
        ([(0, "train", "1", None), (1, "train", "1", None)], True),
        ([(0, "train", "1", None), (0, "test", "1", None)], True),
        ([(0, "train", "1", "1"), (0, "test", "2", "1")], True),
    ],
)
def test_the_audit_is_named_where_there_is_something_to_see(
    places: list[tuple[int, Split, str, str | None]], is_worth_it: bool
) -> None:
    line = audit_line(images(*places))
    assert (line is not None) is is_worth_it
    if line is not None:
        assert line.startswith("`headstart audit 'my photos' --out DIR` shows these images")


def test_the_audit_is_named_where_files_are_left_out() -> None:
    data = Dataset(
        root="p", origin="folders", class_names=("a",), examples=(), skipped=(Skipped(path="/x", reason="empty"),)
    )
    assert audit_line(data) is not None
