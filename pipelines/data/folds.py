"""Cross-validation: every image outside the test part is held out once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example
from pipelines.system.text import one_line


def divide_folds(dataset: Dataset, count: int, *, seed: int) -> tuple[Dataset, ...]:
    """For each fold the dataset with that fold as its validation part, and the others as its training part.

    The test part stays as it is. Folds are stratified; images with identical content stay together.

    Args:
        dataset: as `pipelines.data.check.check` gives it.
        count: how many folds.
        seed: of the division.

    Raises:
        UserError: a class has fewer distinct images than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    examples = pooled(dataset)
    labels = np.asarray([each.label for each in examples])
    contents = np.asarray([each.sha256 for each in examples])
    for label, name in enumerate(dataset.class_names):
        distinct = len(set(contents[labels == label]))
        if distinct < count:
            raise UserError(
                f"class `{one_line(name)}` has {distinct} distinct images outside the test part, too few for {count} "
                "folds",
                f"give --folds {distinct} or fewer" if distinct > 1 else "add images of it, or leave --folds away",
            )
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    found = []
    for _, held_out in splitter.split(contents, labels, contents):
        held = set(held_out.tolist())
        divided = [
            replace(each, split="validation" if place in held else "train") for place, each in enumerate(examples)
        ]
        missing = set(range(len(dataset.class_names))) - {each.label for each in divided if each.split == "train"}
        if missing:
            raise UserError(
                f"class `{one_line(dataset.class_names[min(missing)])}` falls into one fold as a whole: "
                "its images are copies of few",
                "add distinct images of it, or leave --folds away",
            )
        found.append(replace(dataset, examples=(*divided, *dataset.part("test"))))
    return tuple(found)


def pooled(dataset: Dataset) -> tuple[Example, ...]:
    """The images that are divided into folds, in one order."""
    return (*dataset.part("train"), *dataset.part("validation"))
