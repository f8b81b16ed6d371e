"""Cross-validation: every image outside the test part is held out once, with its copies, in proportion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.errors import UserError
from pipelines.data.folds import divide_folds, pooled
from pipelines.runs.examples import Dataset, Example, Split

CLASSES = ("circle", "square", "triangle")


def example(number: int, label: int, content: str | None = None, split: Split = "train") -> Example:
    sha256 = (content or f"{number:064x}").rjust(64, "0")
    return Example(path=f"{number:04d}", label=label, split=split, sha256=sha256, source="")


def test_folds_keep_copies_together_and_classes_in_proportion() -> None:
    examples = [
        example(number, number % 3, split="validation" if number % 7 == 0 else "train") for number in range(300)
    ]
    copies = [replace(copied, path=f"copy of {copied.path}") for copied in examples[:40]]
    tests = [example(number, 0, split="test") for number in range(900, 905)]
    data = Dataset(root="", origin="folders", class_names=CLASSES, examples=(*examples, *copies, *tests))
    folds = divide_folds(data, 5, seed=0)
    for fold in folds:
        train_part, held_out = fold.part("train"), fold.part("validation")
        assert not {image.sha256 for image in train_part} & {image.sha256 for image in held_out}
        assert len(train_part) + len(held_out) == 340
        assert fold.part("test") == tuple(tests)
        shares = np.bincount([image.label for image in held_out], minlength=3) / len(held_out)
        assert np.abs(shares - 1 / 3).max() < 0.06
    assert sum(len(fold.part("validation")) for fold in folds) == 340
    assert divide_folds(data, 5, seed=0) == folds
    assert divide_folds(data, 5, seed=1) != folds


def test_too_few_distinct_images_for_the_folds() -> None:
    examples = [example(number, 0) for number in range(10)] + [
        example(20 + number, 1, content="ff") for number in range(10)
    ]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    with pytest.raises(UserError, match="class `b` has 1 distinct"):
        divide_folds(data, 3, seed=0)


def test_each_image_is_held_out_once_and_keeps_its_place() -> None:
    examples = [example(number, number % 2, split="train" if number % 4 else "validation") for number in range(40)]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    images = pooled(data)
    assert images == (*data.part("train"), *data.part("validation"))
    held_out = []
    for fold in divide_folds(data, 4, seed=3):
        # The order of the pooled images: masks over features are made from it.
        assert [image.path for image in fold.examples] == [image.path for image in images]
        held_out += [image.path for image in fold.part("validation")]
        assert (fold.root, fold.class_names) == (data.root, data.class_names)
    assert sorted(held_out) == sorted(image.path for image in images)


def test_a_class_that_falls_into_one_fold_is_named() -> None:
    contents = [("1", 0, 20), ("2", 1, 20), ("3", 0, 3), ("3", 1, 20)]
    images = [(content, label) for content, label, count in contents for _ in range(count)]
    examples = [example(number, label, content=content) for number, (content, label) in enumerate(images)]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    with pytest.raises(UserError, match="class `a`") as caught:
        divide_folds(data, 2, seed=0)
    assert "--folds" in caught.value.hint
