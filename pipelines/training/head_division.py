"""Decides which images a linear head is fitted to and which judge it, and what fits the time and memory there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.machine import free_memory
from models.softmax_regression import BYTES_PER_WEIGHT
from pipelines.data.folds import Folds, group_folds
from pipelines.data.look_alikes import LookAlikes, find_look_alikes
from pipelines.features.subset import first_features
from pipelines.fitting.candidates import HeadGrid, list_candidates
from pipelines.fitting.penalty_path import Division
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.training.plan import TrainingPlan, class_weights

if TYPE_CHECKING:
    from models.arrays import Weights
    from pipelines.features.cached import Features
    from pipelines.runs.examples import Example

# Of many images three folds are enough: they train on two thirds of them.
FOLDS, FEW_FOLDS, MANY_IMAGES = 5, 3, 5000
# Passes over the rows that one penalty takes, about (clothing: 9 to 15), each of four operations for every row, feature
# and class.
PASSES = 12
# Operations that the choice of a head may take: about four minutes on two cores at 80 billion a second.
MOST_OPERATIONS = 2e13
MEMORY_SHARE = 0.5  # of the free memory that heads may take while they are solved


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a head is chosen among.

    Attributes:
        widths: set of features -> how many of the first features it has.
        penalties: the greatest first.
        num_folds: at most; 0 for none.
    """

    widths: Mapping[FeatureLayers, int]
    penalties: tuple[float, ...]
    num_folds: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DividedImages:
    """The training and validation images, divided.

    Attributes:
        examples: of both parts, in that order.
        division: which of them fit and judge.
        look_alikes: the groups that folds keep together; None without folds.
        folds: None without folds.
    """

    examples: tuple[Example, ...]
    division: Division
    look_alikes: LookAlikes | None
    folds: Folds | None


def list_choices(plan: TrainingPlan, num_images: int, widths: Mapping[FeatureLayers, int]) -> Choices:
    """What the head of a training is chosen among, whatever it takes.

    Args:
        plan: of the training.
        num_images: of the training and the validation part.
        widths: as in `Choices`.
    """
    spec = plan.spec
    grid = HeadGrid(
        head=plan.names.head,
        num_features=max(widths.values()),
        num_classes=plan.num_classes,
        optimizer="adam",
        l2=spec.head.l2,
    )
    candidates = list_candidates(grid, count=spec.head.heads, seed=spec.fit.seed)
    holds_out = spec.fit.validation == "hold-out" or plan.is_fold
    return Choices(
        widths=widths,
        penalties=tuple(sorted({candidate.l2 for candidate in candidates}, reverse=True)),
        num_folds=0 if holds_out else most_folds(num_images),
    )


def most_folds(num_images: int) -> int:
    """How many folds so many images are divided into, at most."""
    return FOLDS if num_images <= MANY_IMAGES else FEW_FOLDS


def less_line(asked: Choices, affordable: Choices | None) -> str:
    """What is left out of the choices, for people."""
    if affordable is None:
        return "the head is trained in steps and chosen by the validation part: solving it would take too long"
    ways = []
    if len(affordable.widths) < len(asked.widths):
        ways.append("features of the last layer alone")
    if affordable.num_folds < asked.num_folds:
        ways.append("the validation part chooses, not cross-validation")
    return f"{' and '.join(ways)}: more would take too long with so many images and classes"


def afford(choices: Choices, plan: TrainingPlan, num_rows: int) -> Choices | None:
    """As many of the choices as fit the time and the memory: without folds, then of the last layer alone; else None."""
    last: Mapping[FeatureLayers, int] = dict([next(iter(choices.widths.items()))])
    for widths, num_folds in ((choices.widths, choices.num_folds), (last, choices.num_folds), (last, 0)):
        weights = max(widths.values()) * plan.num_classes * (num_folds + 1)
        operations = 4 * PASSES * len(choices.penalties) * num_rows * sum(widths.values()) * plan.num_classes
        free = free_memory()
        fits = free is None or weights * BYTES_PER_WEIGHT <= MEMORY_SHARE * free
        if fits and operations * (num_folds + 1) <= MOST_OPERATIONS:
            return Choices(widths=widths, penalties=choices.penalties, num_folds=num_folds)
    return None


def divide(
    plan: TrainingPlan, train: Features, validation: Features, *, num_folds: int, num_last: int
) -> DividedImages:
    """Divide the training and validation images.

    Without a validation part that the user gave, folds hold out every image. A given one judges the heads that the
    training images fit, beside the folds of those. Without folds, the validation part alone judges.

    Args:
        plan: of the training.
        train: features of the training part.
        validation: features of the validation part.
        num_folds: at most; 0 for none.
        num_last: how many of the features, the first ones, are the last layer's.
    """
    examples = (*plan.dataset.part("train"), *plan.dataset.part("validation"))
    is_train = np.arange(len(examples)) < len(train)
    fold_of, look_alikes, folds = np.full(len(examples), -1), None, None
    is_fitted = is_train if plan.dataset.has_given_validation else np.ones(len(examples), bool)
    if num_folds:
        last = [first_features(part, num_last) for part in (train, validation)]
        rows = np.concatenate([part.halves(np.arange(len(part))) for part in last])[is_fitted]
        fitted = [example for example, is_used in zip(examples, is_fitted, strict=True) if is_used]
        look_alikes = find_look_alikes(fitted, rows, plan.dataset.class_names)
        labels = np.asarray([example.label for example in fitted], np.int32)
        folds = group_folds(
            labels,
            look_alikes.group_of,
            plan.dataset.class_names,
            count=num_folds,
            seed=plan.spec.fit.seed,
        )
        fold_of[is_fitted] = folds.fold_of
    if folds is None or folds.count < 2:  # all that one fold holds out would not be half of the images
        look_alikes, folds, is_fitted = None, None, is_train
        fold_of[:] = -1
    division = Division(
        fold_of=fold_of.astype(np.intp),
        num_folds=folds.count if folds else 0,
        is_fitted=is_fitted,
        weights=_weights(plan, examples),
    )
    return DividedImages(examples=examples, division=division, look_alikes=look_alikes, folds=folds)


def _weights(plan: TrainingPlan, examples: tuple[Example, ...]) -> Weights:
    """(images,) weights of the images by their classes."""
    weights = class_weights(plan.dataset, plan.spec.fit.class_weights)
    if weights is None:
        return np.ones(len(examples), np.float32)
    return weights[[example.label for example in examples]]
