"""Divides a data set into the folds of cross-validation, stratified, with identical images in one fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example
from pipelines.system.text import one_line


def divide_folds(dataset: Dataset, count: int, *, seed: int) -> tuple[Dataset, ...]:
    """Give for each fold the data set with that fold as its validation part and the other folds as its training part.

    The test part stays as it is. Folds are stratified; images with identical content stay together.

    Args:
        dataset: from `pipelines.data.check.check`.
        count: number of folds, at least 2.
        seed: of the division.

    Returns:
        One data set for each fold. Its examples are those of `pooled(dataset)`, in that order, then the test part.

    Raises:
        UserError: a class has fewer distinct images than there are folds, or all its images fall into one fold.
    """
    # Inside: scikit-learn takes 0.7 s to import.
    from sklearn.model_selection import StratifiedGroupKFold

    examples = pooled(dataset)
    labels = np.asarray([example.label for example in examples])
    contents = np.asarray([example.sha256 for example in examples])
    for label, name in enumerate(dataset.class_names):
        _require_distinct(name, len(set(contents[labels == label])), count)
    folds = []
    for _, validation in StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(contents, labels, contents):
        fold = _fold(dataset, examples, set(validation.tolist()))
        _require_every_class(fold)
        folds.append(fold)
    return tuple(folds)


def pooled(dataset: Dataset) -> tuple[Example, ...]:
    """The images that are divided into folds: the training part, then the validation part."""
    return (*dataset.part("train"), *dataset.part("validation"))


def _fold(dataset: Dataset, examples: Sequence[Example], validation: set[int]) -> Dataset:
    """The data set whose validation part is `validation`, places in `examples`."""
    divided = [
        replace(example, split="validation" if place in validation else "train")
        for place, example in enumerate(examples)
    ]
    return replace(dataset, examples=(*divided, *dataset.part("test")))


def _require_distinct(name: str, distinct: int, count: int) -> None:
    if distinct < count:
        raise UserError(
            f"class `{one_line(name)}` has {distinct} distinct images outside the test part, too few for {count} folds",
            f"give --folds {distinct} or fewer" if distinct > 1 else "add images of it, or omit --folds",
        )


def _require_every_class(fold: Dataset) -> None:
    trained = {example.label for example in fold.part("train")}
    for label, name in enumerate(fold.class_names):
        if label not in trained:
            raise UserError(
                f"all images of class `{one_line(name)}` fall into one fold, because too few of them are distinct",
                "add distinct images of it, or omit --folds",
            )
