"""Fits the head of a training on cached features: solved where it is a convex problem, else the best of a bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.softmax_regression import MAX_ITERATIONS
from pipelines.evaluation.predictions import join_rows
from pipelines.features.subset import first_features
from pipelines.fitting.candidates import HeadGrid, Shortlist, shortlist
from pipelines.fitting.heads import HeadSearch, fit_heads
from pipelines.runs.cross_validation_record import CrossValidationRecord, FeatureLayers
from pipelines.runs.manifest import ChosenHead, StageRecord
from pipelines.training.plan import HeldOut, TrainingHead, TrainingPlan, class_weights
from pipelines.training.solved_head import SolvedHead, can_be_solved, solve_head
from pipelines.training.stage_recipe import recipe_of_bank, recipe_of_solver

if TYPE_CHECKING:
    import keras

    from models.arrays import Probabilities
    from models.heads import Candidate
    from pipelines.evaluation.predictions import Predictions
    from pipelines.features.cached import Features
    from pipelines.fitting.heads import FittedHeads
    from pipelines.runs.examples import Example
    from pipelines.runs.stages import Stage
    from pipelines.runs.training_records import EpochRecord, HeadTrial

PREDICTION_BATCH = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadFeatures:
    """Features that a head may be fitted to.

    Attributes:
        train: of the training part.
        validation: of the validation part.
        widths: set of features that the head is chosen among -> how many of the first features it has.
        num_last: how many of the features, the first ones, are the last layer's.
    """

    train: Features
    validation: Features
    widths: Mapping[FeatureLayers, int]
    num_last: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A head, and how it came about.

    Attributes:
        head: features of the layers in `features` (batch, features) -> probabilities.
        features: which layers.
        predictions: probabilities (images, classes) and labels of `judged`, each by a head that was not fitted to it.
        judged: the images that chose the head.
        out_of_fold: of training images, beside a given validation part; None without.
        training_head: fitted to the training part alone, for fine-tuning; None where `head` is.
        stage: its record.
        trials: the heads that were tried, the best first.
        history: one record an epoch; empty where the head is solved.
        cross_validation: that chose it; None where the validation part alone did.
        notes: what was done, for run.json.
    """

    head: keras.Model
    features: FeatureLayers
    predictions: Predictions
    judged: tuple[Example, ...]
    stage: StageRecord
    trials: tuple[HeadTrial, ...]
    history: tuple[EpochRecord, ...] = ()
    cross_validation: CrossValidationRecord | None = None
    notes: tuple[str, ...] = ()
    out_of_fold: HeldOut | None = None
    training_head: TrainingHead | None = None


def fit_head(plan: TrainingPlan, stage: Stage, features: HeadFeatures) -> FittedHead:
    """Fit a head: the solution of a convex problem where it is one, else the best of a bank on validation."""
    if can_be_solved(plan):
        solved = solve_head(plan, features.train, features.validation, features.widths, num_last=features.num_last)
        if solved is not None:
            return _of_solved(plan, stage, solved, features)
    heads = list_head_candidates(plan, num_features=_bank_width(features), count=plan.spec.head.heads)
    return fit_bank(plan, stage, features, heads)


def fit_bank(plan: TrainingPlan, stage: Stage, features: HeadFeatures, heads: Shortlist) -> FittedHead:
    """Train the heads of a bank in steps, on the first of the sets of features, and keep the best on validation."""
    (layers, *_), width = features.widths, _bank_width(features)
    train, validation = first_features(features.train, width), first_features(features.validation, width)
    fitted = fit_heads(
        search_of(plan, heads.candidates, epochs=stage.epochs),
        train=train,
        validation=validation,
        class_weights=class_weights(plan.dataset, plan.spec.fit.class_weights),
        sample_weights=plan.image_weights,
        reporter=plan.reporter,
    )
    head = fitted.heads[fitted.best]
    return FittedHead(
        head=head,
        features=layers,
        predictions=(predict_features(head, validation), validation.labels),
        judged=plan.dataset.part("validation"),
        stage=_describe_bank(plan, stage, fitted),
        trials=fitted.trials,
        history=fitted.history,
        notes=heads.notes,
    )


def list_head_candidates(plan: TrainingPlan, *, num_features: int, count: int) -> Shortlist:
    """The hyperparameters that a bank tries: what the user gave is fixed, the rest is a grid.

    Raises:
        UserError: the memory that is free does not suffice for one head.
    """
    spec = plan.spec
    grid = HeadGrid(
        head=plan.names.head,
        num_features=num_features,
        num_classes=plan.num_classes,
        optimizer=spec.fit.rule,
        l2=spec.head.l2,
        learning_rate=spec.fit.learning_rate,
        dropout=spec.head.dropout,
    )
    heads = shortlist(grid, count=count, seed=spec.fit.seed)
    for note in heads.notes:
        plan.reporter.note(note)
    return heads


def search_of(plan: TrainingPlan, candidates: tuple[Candidate, ...], *, epochs: int) -> HeadSearch:
    """The bank of a training."""
    return HeadSearch(
        head=plan.names.head,
        candidates=candidates,
        num_classes=plan.num_classes,
        optimizer=plan.spec.fit.rule,
        epochs=epochs,
        seed=plan.spec.fit.seed,
    )


def predict_features(head: keras.Model, features: Features) -> Probabilities:
    """Probabilities (images, classes) of a head on the clean views of a part."""
    pieces = (np.asarray(head.predict_on_batch(rows)) for _, rows in features.pieces(PREDICTION_BATCH))
    return join_rows(pieces, len(features))


def _bank_width(features: HeadFeatures) -> int:
    return next(iter(features.widths.values()))


def _of_solved(plan: TrainingPlan, stage: Stage, solved: SolvedHead, features: HeadFeatures) -> FittedHead:
    best = solved.trials[0]
    predictions, training_head = solved.predictions, None
    validation = first_features(features.validation, features.widths[solved.features])
    if solved.record is None:  # no head but this one judged the validation images
        predictions = (predict_features(solved.head, validation), validation.labels)
    if solved.training_head is not None:
        training_head = TrainingHead(
            weights=solved.training_head.get_weights(),
            predictions=(predict_features(solved.training_head, validation), validation.labels),
        )
    record = StageRecord(
        name=stage.name,
        unfreeze=stage.unfreeze,
        epochs=0,
        best_epoch=0,
        validation_loss=solved.loss,
        heads=len(solved.trials),
        chosen=ChosenHead(l2=solved.l2, learning_rate=None, dropout=0.0, seed=best.seed),
        seconds=solved.seconds,
        temperature=solved.record.temperature if solved.record else None,
        recipe=recipe_of_solver(plan, solved.l2, iterations=MAX_ITERATIONS),
    )
    return FittedHead(
        head=solved.head,
        features=solved.features,
        predictions=predictions,
        judged=solved.examples,
        stage=record,
        trials=solved.trials,
        cross_validation=solved.record,
        notes=solved.notes,
        out_of_fold=solved.out_of_fold,
        training_head=training_head,
    )


def _describe_bank(plan: TrainingPlan, stage: Stage, fitted: FittedHeads) -> StageRecord:
    """The record of the stage in run.json, with the best head of the bank."""
    best = fitted.trials[0]
    return StageRecord(
        name=stage.name,
        unfreeze=stage.unfreeze,
        epochs=len(fitted.history),
        best_epoch=best.best_epoch or 0,
        validation_loss=best.validation_loss,
        heads=len(fitted.heads),
        chosen=ChosenHead(l2=best.l2, learning_rate=best.learning_rate, dropout=best.dropout, seed=best.seed),
        seconds=round(fitted.seconds, 2),
        recipe=recipe_of_bank(plan, stage, best),
    )
