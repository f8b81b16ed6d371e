"""Identical images: reported where their labels or their parts differ, and only there."""

from __future__ import annotations

from pipelines.data.duplicates import group_leaks, label_conflicts, leaks, near_leaks
from pipelines.data.listing import ListedFile
from pipelines.runs.examples import Split


def image(path: str, label: int, content: str, group: str | None = None) -> tuple[ListedFile, str]:
    return ListedFile(path=path, label=label, split=None, group=group), content


def test_copies_with_one_label_in_one_part_are_no_remark() -> None:
    images = [image("/1", 0, "x"), image("/2", 0, "x"), image("/3", 1, "y")]
    assert label_conflicts(images, ["a", "b"]) == []
    assert leaks(images, ["train", "train", "test"]) == []


def test_contents_with_two_labels_are_counted_once_each_and_the_first_path_is_named() -> None:
    images = [image("/2", 0, "x"), image("/4", 1, "x"), image("/9", 0, "x"), image("/5", 1, "x")]
    images += [image("/1", 1, "y"), image("/3\n", 0, "y")]
    assert label_conflicts(images, ["a", "b"]) == [
        r"2 images with identical copies in two classes, such as `/1` (b) and `/3\n` (a)"
    ]


def test_contents_in_two_parts_are_counted_once_each_and_the_first_path_is_named() -> None:
    images = [image("/2", 0, "x"), image("/4", 0, "x"), image("/9", 0, "x"), image("/1", 0, "y"), image("/3", 0, "y")]
    assert leaks(images, ["train", "test", "validation", "test", "train"]) == [
        "2 images with identical copies in two parts, such as `/1` (test) and `/3` (train)"
    ]
    assert leaks(images, ["train", "train", "train", "train", "validation"]) == [
        "1 image with identical copies in two parts, such as `/1` (train) and `/3` (validation)"
    ]


def test_groups_in_two_parts_are_counted_once_each_and_the_first_is_named_safely() -> None:
    images = [image("/1", 0, "x", "p"), image("/2", 1, "y", "p"), image("/3", 0, "z"), image("/4", 0, "w")]
    assert group_leaks(images, ["train", "train", "train", "test"]) == []
    images += [image("/5", 0, "v", "\x1b[31m"), image("/6", 0, "u", "\x1b[31m"), image("/7", 0, "t", "p")]
    parts: list[Split] = ["test", "validation", "train", "test", "test", "train", "test"]
    assert group_leaks(images, parts) == [r"2 groups with images in two parts, such as `\x1b[31m` (train and test)"]


def test_near_duplicates_in_two_parts_are_counted_once_each_group_and_identical_ones_are_not() -> None:
    images = [image(f"/{number}", 0, content) for number, content in enumerate("aabcdde")]
    near = ["a", "a", "a", "c", "c", "d", None]
    assert near_leaks(images, ["train"] * 7, near) == []
    # The copies of `a` in two parts are identical: another remark has them.
    assert near_leaks(images, ["train", "test", "train", "test", "test", "test", "test"], near) == []
    assert near_leaks(images, ["train", "train", "test", "validation", "train", "test", "test"], near) == [
        "2 groups of near duplicates in two parts, such as `/0` (train) and `/2` (test)"
    ]
