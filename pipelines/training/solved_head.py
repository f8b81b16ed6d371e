"""Solves a linear head on cached features: cross-validation chooses features and penalty, then all images fit it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np

from models.bank_network import standalone_head
from models.heads import Candidate
from pipelines.features.subset import first_features
from pipelines.fitting.averaged_heads import average_heads
from pipelines.fitting.head_choice import HeadChoice, choose, fit_to, follow_paths
from pipelines.fitting.penalty_path import list_trials
from pipelines.fitting.standardised import StandardisedRows
from pipelines.runs.cross_validation_record import CrossValidationRecord, FeatureLayers
from pipelines.runs.training_records import HeadTrial
from pipelines.training.head_description import describe, lines_of
from pipelines.training.head_division import DividedImages, afford, divide, less_line, list_choices
from pipelines.training.plan import HeldOut, TrainingPlan
from pipelines.training.temperature_of_folds import calibrate_by_folds, fit_temperature_of_folds

if TYPE_CHECKING:
    from models.arrays import Flags, Labels, Probabilities
    from pipelines.evaluation.predictions import Predictions
    from pipelines.features.cached import Features
    from pipelines.fitting.penalty_path import Division
    from pipelines.runs.examples import Example


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SolvedHead:
    """A head, and how it was chosen.

    Attributes:
        head: features of the layers in `features` (batch, features) -> probabilities.
        training_head: the same, fitted to the training part alone; None where `head` is, or no blocks are fine-tuned.
        features: which layers it was fitted to.
        predictions: probabilities (images, classes) and labels of `examples`, each by a head that was not fitted to it.
        examples: the images that judged it.
        out_of_fold: the same of the training images, where `examples` are a given validation part; None elsewhere, and
            where folds cannot be believed.
        trials: each penalty on each set of features, the best first.
        l2: the penalty that was chosen.
        loss: log-loss that it was chosen by, nats.
        record: of the cross-validation; None where validation images alone chose.
        notes: what was done, for people and run.json.
        seconds: wall time.
    """

    head: keras.Model
    training_head: keras.Model | None
    features: FeatureLayers
    predictions: Predictions
    examples: tuple[Example, ...]
    out_of_fold: HeldOut | None
    trials: tuple[HeadTrial, ...]
    l2: float
    loss: float
    record: CrossValidationRecord | None
    notes: tuple[str, ...]
    seconds: float


def can_be_solved(plan: TrainingPlan) -> bool:
    """Whether the head is a convex problem, and the user leaves open how it is fitted."""
    spec, head = plan.spec, plan.names.head
    dropout = head.dropout if spec.head.dropout is None else spec.head.dropout
    is_open = spec.fit.optimizer is None and spec.fit.learning_rate is None and spec.fit.epochs is None
    return is_open and not head.hidden and not dropout and plan.image_weights is None


def solve_head(
    plan: TrainingPlan,
    train: Features,
    validation: Features,
    widths: Mapping[FeatureLayers, int],
    *,
    num_last: int,
) -> SolvedHead | None:
    """Choose and fit a linear head; None, with a note, where that would take too much time or memory.

    Args:
        plan: of the training, for which `can_be_solved` holds.
        train: features of the training part.
        validation: features of the validation part.
        widths: set of features that the choice is among -> how many of the first features it has.
        num_last: how many of the features, the first ones, are the last layer's.
    """
    began = time.monotonic()
    choices = list_choices(plan, len(train) + len(validation), widths)
    affordable = afford(choices, plan, len(train) * train.num_views + len(validation))
    notes = [] if affordable == choices else [less_line(choices, affordable)]
    if affordable is None:
        plan.reporter.note(notes[0])
        return None

    # Which images fit and judge; then the choice, and the head that all of them fit.
    images = divide(plan, train, validation, num_folds=affordable.num_folds, num_last=num_last)
    division = images.division
    widest = max(affordable.widths.values())
    rows = StandardisedRows([first_features(part, widest) for part in (train, validation)])
    paths = follow_paths(rows, affordable.widths, division, affordable.penalties, plan.num_classes, plan.reporter)
    labels = rows.labels[: rows.num_images]
    choice = average_heads(choose(paths, division), paths, division, labels)
    chosen_rows = rows.first(affordable.widths[choice.features])

    # The temperature, from answers of heads that were not fitted to the image.
    # Folds that cannot be believed tell no temperature either.
    temperature = None if choice.warning else fit_temperature_of_folds(choice.solution.probabilities, labels, division)
    is_judged = division.is_validation if division.is_validation.any() else division.is_held_out
    probabilities = calibrate_by_folds(choice.solution.probabilities, labels, division, temperature)
    record = describe(paths, choice, images, temperature)
    notes += lines_of(images, choice.line)
    _report(plan, notes, choice.warning)
    is_train = np.arange(len(labels)) < len(train)
    is_to_be_tuned = plan.spec.fine_tune.blocks is not None and division.num_folds > 0
    fitted = partial(_fit, plan, chosen_rows, division, choice, temperature or 1.0)
    return SolvedHead(
        head=fitted(division.is_refitted),
        training_head=fitted(is_train) if is_to_be_tuned else None,
        features=choice.features,
        predictions=(probabilities[is_judged], labels[is_judged]),
        examples=_chosen(images.examples, is_judged),
        out_of_fold=_out_of_fold(images, choice, probabilities, labels),
        trials=list_trials(paths, plan.spec.fit.seed),
        l2=choice.solution.l2,
        loss=round(choice.loss, 5),
        record=record,
        notes=(*notes, choice.warning) if choice.warning else tuple(notes),
        seconds=round(time.monotonic() - began, 2),
    )


def _chosen(examples: tuple[Example, ...], is_chosen: Flags) -> tuple[Example, ...]:
    return tuple(examples[place] for place in np.flatnonzero(is_chosen))


def _out_of_fold(
    images: DividedImages, choice: HeadChoice, probabilities: Probabilities, labels: Labels
) -> HeldOut | None:
    is_held_out = images.division.is_held_out
    if choice.warning or not is_held_out.any() or not images.division.is_validation.any():
        return None
    predictions = probabilities[is_held_out], labels[is_held_out]
    return HeldOut(predictions=predictions, examples=_chosen(images.examples, is_held_out))


def _fit(
    plan: TrainingPlan,
    rows: StandardisedRows,
    division: Division,
    choice: HeadChoice,
    temperature: float,
    is_used: Flags,
) -> keras.Model:
    """The chosen head, fitted to some images; standardisation and temperature are folded into its weights."""
    weights = fit_to(is_used, rows, division, choice).weights[:, 0] / temperature
    candidate = Candidate(l2=choice.solution.l2, learning_rate=0.0, dropout=0.0, seed=plan.spec.fit.seed)
    named = {"probabilities/kernel": weights[:-1], "probabilities/bias": weights[-1]}
    return standalone_head(plan.names.head, candidate, named, mean=rows.mean, scale=rows.scale)


def _report(plan: TrainingPlan, notes: Sequence[str], warning: str | None) -> None:
    for note in notes:
        plan.reporter.note(note)
    if warning:
        plan.reporter.warn(warning)
