"""Cross-validation: every image outside the test part is held out once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from pipelines.features import Features
from pipelines.listing import printable
from pipelines.report import Interval
from pipelines.specs import Dataset, Example

HELD_BYTES = 1 << 30  # features of a part up to this size are kept in memory while heads are fitted on them


def divide_folds(dataset: Dataset, count: int, *, seed: int) -> tuple[Dataset, ...]:
    """For each fold the dataset with that fold as its validation part, and the others as its training part.

    The test part stays as it is. Folds are stratified; images with identical content stay together.

    Args:
        dataset: as `pipelines.check.check` gives it.
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
                f"class `{printable(name)}` has {distinct} distinct images outside the test part, too few for {count} "
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
                f"class `{printable(dataset.class_names[min(missing)])}` falls into one fold as a whole: "
                "its images are copies of few",
                "add distinct images of it, or leave --folds away",
            )
        found.append(replace(dataset, examples=(*divided, *dataset.part("test"))))
    return tuple(found)


def pooled(dataset: Dataset) -> tuple[Example, ...]:
    """The images that are divided into folds, in one order."""
    return (*dataset.part("train"), *dataset.part("validation"))


class Selected(Features):
    """Some of the examples of other features, kept in memory where they are small enough: many fits read them."""

    def __init__(self, parent: Features, numbers: NDArray[np.int64]) -> None:
        self._parent, self._numbers = parent, numbers
        self.labels = parent.labels[numbers]
        self.num_views, self.num_features = parent.num_views, parent.num_features
        self._held: NDArray[np.float16] | None = None
        if len(numbers) * self.num_views * self.num_features * 2 <= HELD_BYTES:
            views = [
                parent.rows(numbers, np.full(len(numbers), view, np.int64)).astype(np.float16)
                for view in range(self.num_views)
            ]
            self._held = np.stack(views, axis=1)

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """As `Features.rows`."""
        return self.halves(numbers, views).astype(np.float32)

    def halves(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float16]:
        """As `Features.halves`."""
        if self._held is None:
            return self._parent.rows(self._numbers[numbers], views).astype(np.float16)
        return self._held[numbers, 0 if views is None else views]

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        self._parent.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverFolds:
    """A score over folds.

    Attributes:
        mean: of the folds' scores.
        deviation: their standard deviation.
        interval: 95 %, of the mean, by Student's t. Folds share training images, so it is somewhat too narrow
            (Bengio and Grandvalet 2004: no unbiased estimate of that variance exists).
    """

    mean: float
    deviation: float
    interval: Interval


def over_folds(scores: Sequence[float]) -> OverFolds:
    """Mean, standard deviation and interval of at least two folds' scores."""
    from scipy.stats import t

    mean, deviation = float(np.mean(scores)), float(np.std(scores, ddof=1))
    half = float(t.ppf(0.975, len(scores) - 1)) * deviation / math.sqrt(len(scores))
    return OverFolds(mean=mean, deviation=deviation, interval=(mean - half, mean + half))
