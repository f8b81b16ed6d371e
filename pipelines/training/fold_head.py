"""Chooses a head that is trained in steps by cross-validation, and fits it to all training and validation images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.heads import cool
from pipelines.features.subset import FeatureSubset, JoinedFeatures, first_features
from pipelines.fitting.candidates import MAX_WEIGHTS, HeadGrid, Shortlist
from pipelines.fitting.heads import FoldHeads, describe_best, fit_fold_heads, fit_heads
from pipelines.runs.cross_validation_record import CrossValidationRecord
from pipelines.training.head_description import lines_of
from pipelines.training.head_division import MOST_OPERATIONS, DividedImages, divide, most_folds
from pipelines.training.head_stage import FittedHead, HeadFeatures, bank_width, describe_bank, grid_of, search_of
from pipelines.training.plan import TrainingPlan, class_weights
from pipelines.training.temperature_of_folds import calibrate_by_folds, fit_temperature_of_folds

if TYPE_CHECKING:
    from pipelines.features.cached import Features
    from pipelines.runs.cross_validation_record import FeatureLayers
    from pipelines.runs.stages import Stage

# Of an epoch: two in the forward pass and four in the backward pass, for each weight and image.
OPERATIONS = 6


def fit_in_folds(plan: TrainingPlan, stage: Stage, features: HeadFeatures, heads: Shortlist) -> FittedHead | None:
    """Choose the best of a bank and its epoch by the loss out of fold; the head is fitted to all images.

    Where not all heads of the bank can be trained in every fold, those are that do best on the validation part.

    Args:
        plan: of the training.
        stage: of the head.
        features: of the sets, the first one is used.
        heads: the hyperparameters to choose among.

    Returns:
        None where the validation part chooses: where the user gave it or holds it out, images have weights, the model
        is fine-tuned next, or there are too few groups of images or too many weights.
    """
    (layers, *_), width = features.widths, bank_width(features)
    num_images = len(features.train) + len(features.validation)
    num_folds = most_folds(num_images)
    count = _affordable(grid_of(plan, width), num_images=num_images, epochs=stage.epochs, num_folds=num_folds)
    if _holds_out(plan) or not count:
        return None
    images = divide(plan, features.train, features.validation, num_folds=num_folds, num_last=features.num_last)
    if images.folds is None:
        return None

    # The heads that go into the folds; then all folds, and the head of all images, side by side.
    parts = [first_features(part, width) for part in (features.train, features.validation)]
    chosen, notes = _best_on_validation(plan, stage, heads, count, parts)
    joined = FeatureSubset(JoinedFeatures(parts), np.arange(num_images))
    search, division = search_of(plan, chosen.candidates, epochs=stage.epochs), images.division
    fitted = fit_fold_heads(search, joined, division.fold_of, weights=division.weights, reporter=plan.reporter)

    # The temperature, and the predictions that judge the head.
    labels = joined.labels
    temperature = fit_temperature_of_folds(fitted.probabilities, labels, division)
    probabilities = calibrate_by_folds(fitted.probabilities, labels, division, temperature)
    cool(fitted.head, temperature or 1.0)
    is_judged = division.is_held_out
    lines = [*notes, *lines_of(images, _chosen_line(fitted))]
    for line in lines:
        plan.reporter.note(line)
    examples = tuple(images.examples[place] for place in np.flatnonzero(is_judged))
    return FittedHead(
        head=fitted.head,
        features=layers,
        predictions=(probabilities[is_judged], labels[is_judged]),
        judged=examples,
        stage=describe_bank(plan, stage, fitted, temperature=temperature),
        trials=fitted.trials,
        history=fitted.history,
        cross_validation=_record(layers, images, fitted, temperature),
        notes=(*heads.notes, *lines),
    )


def _holds_out(plan: TrainingPlan) -> bool:
    """Whether the validation part chooses, however few heads there are."""
    spec, has_own = plan.spec, plan.dataset.has_given_validation
    is_held_out = plan.is_fold or has_own or spec.fit.validation == "hold-out"
    return is_held_out or plan.image_weights is not None or spec.fine_tune.blocks is not None


def _affordable(grid: HeadGrid, *, num_images: int, epochs: int, num_folds: int) -> int:
    """How many heads can be trained in every fold and on all images, by their weights and operations."""
    most = min(MAX_WEIGHTS, MOST_OPERATIONS / (OPERATIONS * num_images * epochs))
    return int(most / (grid.num_weights * (num_folds + 1)))


def _best_on_validation(
    plan: TrainingPlan, stage: Stage, heads: Shortlist, count: int, parts: list[Features]
) -> tuple[Shortlist, list[str]]:
    """So many of the heads, and a line where that is fewer: the best on the validation part."""
    if count >= len(heads.candidates):
        return heads, []
    fitted = fit_heads(
        search_of(plan, heads.candidates, epochs=stage.epochs),
        train=parts[0],
        validation=parts[1],
        class_weights=class_weights(plan.dataset, plan.spec.fit.class_weights),
        reporter=plan.reporter,
    )
    best = tuple(heads.candidates[trial.number] for trial in fitted.trials[:count])
    line = f"{count} of {len(heads.candidates)} heads, the best on the validation part, go into cross-validation"
    return replace(heads, candidates=best), [line]


def _record(
    layers: FeatureLayers, images: DividedImages, fitted: FoldHeads, temperature: float | None
) -> CrossValidationRecord:
    assert images.folds is not None and images.look_alikes is not None, "asked for where there are folds"
    loss = fitted.trials[0].validation_loss
    return CrossValidationRecord(
        folds=images.folds.count,
        look_alikes=images.look_alikes.record,
        held_out=int(images.division.is_held_out.sum()),
        out_of_fold_loss={} if loss is None else {layers: loss},
        fitted=len(images.examples),
        temperature=None if temperature is None else round(temperature, 4),
        note=images.folds.note,
    )


def _chosen_line(fitted: FoldHeads) -> str:
    best = fitted.trials[0]
    loss = "not finite" if best.validation_loss is None else f"{best.validation_loss:.4f}"
    return f"{describe_best(fitted.trials, len(fitted.history))}, chosen by out-of-fold log-loss ({loss})"
