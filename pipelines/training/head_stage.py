"""Describes the fitted head of a training, and trains the heads of a bank that a validation part judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.features.subset import first_features
from pipelines.fitting.bank_epochs import HeadSearch
from pipelines.fitting.candidates import HeadGrid, Shortlist, shortlist
from pipelines.fitting.heads import fit_heads, predict_features
from pipelines.runs.cross_validation_record import CrossValidationRecord, FeatureLayers
from pipelines.runs.manifest import ChosenHead, StageRecord
from pipelines.training.plan import HeldOut, TrainingHead, TrainingPlan, class_weights
from pipelines.training.stage_recipe import recipe_of_bank

if TYPE_CHECKING:
    import keras

    from models.heads import Candidate
    from pipelines.evaluation.predictions import Predictions
    from pipelines.features.cached import Features
    from pipelines.fitting.heads import FittedHeads, FoldHeads
    from pipelines.runs.examples import Example
    from pipelines.runs.stages import Stage
    from pipelines.runs.training_records import EpochRecord, HeadTrial


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


def fit_bank(plan: TrainingPlan, stage: Stage, features: HeadFeatures, heads: Shortlist) -> FittedHead:
    """Train the heads of a bank in steps, on the first of the sets of features, and keep the best on validation."""
    (layers, *_), width = features.widths, bank_width(features)
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
        stage=describe_bank(plan, stage, fitted),
        trials=fitted.trials,
        history=fitted.history,
        notes=heads.notes,
    )


def list_head_candidates(plan: TrainingPlan, *, num_features: int, count: int) -> Shortlist:
    """The hyperparameters that a bank tries: what the user gave is fixed, the rest is a grid.

    Raises:
        UserError: the memory that is free does not suffice for one head.
    """
    grid = grid_of(plan, num_features)
    heads = shortlist(grid, count=count, seed=plan.spec.fit.seed)
    for note in heads.notes:
        plan.reporter.note(note)
    return heads


def grid_of(plan: TrainingPlan, num_features: int) -> HeadGrid:
    """The hyperparameters that a bank may try for a training: what the user gave is fixed."""
    spec = plan.spec
    return HeadGrid(
        head=plan.names.head,
        num_features=num_features,
        num_classes=plan.num_classes,
        optimizer=spec.fit.rule,
        l2=spec.head.l2,
        learning_rate=spec.fit.learning_rate,
        dropout=spec.head.dropout,
    )


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


def bank_width(features: HeadFeatures) -> int:
    """How many features the first of the sets has, which a head that is trained in steps sees."""
    return next(iter(features.widths.values()))


def describe_bank(
    plan: TrainingPlan, stage: Stage, fitted: FittedHeads | FoldHeads, *, temperature: float | None = None
) -> StageRecord:
    """The record of the stage in run.json, with the best head of the bank.

    Args:
        plan: of the training.
        stage: of the head.
        fitted: the heads.
        temperature: that the logits of the best are divided by; None for none.
    """
    best = fitted.trials[0]
    return StageRecord(
        name=stage.name,
        unfreeze=stage.unfreeze,
        epochs=len(fitted.history),
        best_epoch=best.best_epoch or 0,
        validation_loss=best.validation_loss,
        heads=len(fitted.trials),
        chosen=ChosenHead(l2=best.l2, learning_rate=best.learning_rate, dropout=best.dropout, seed=best.seed),
        seconds=round(fitted.seconds, 2),
        temperature=None if temperature is None else round(temperature, 4),
        recipe=recipe_of_bank(plan, stage, best),
    )
