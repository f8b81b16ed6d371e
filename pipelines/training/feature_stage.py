"""Trains heads on cached features: every view of every image passes the frozen base once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.blocks import require_blocks
from models.classifier import build_classifier, build_feature_extractor
from pipelines.evaluation.agreement import measure_agreement, spread_places
from pipelines.evaluation.predictions import join_rows, predict_batches
from pipelines.features.cached import CLEAN
from pipelines.features.extract import Extracted, extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.fitting.candidates import HeadGrid, Shortlist, shortlist
from pipelines.fitting.heads import FittedHeads, HeadSearch, fit_heads
from pipelines.images.batches import pixel_batches
from pipelines.runs.examples import SPLITS, Split
from pipelines.runs.manifest import Agreement, ChosenHead, StageRecord
from pipelines.training.backbone import LazyBackbone
from pipelines.training.inputs import augmenter_of, parts_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights, list_stages
from pipelines.training.stage_recipe import recipe_of_bank

if TYPE_CHECKING:
    from keras import Model

    from models.arrays import Probabilities
    from models.heads import Candidate
    from pipelines.evaluation.predictions import Predictions
    from pipelines.features.cached import Features
    from pipelines.runs.stages import Stage

PREDICTION_BATCH = 1024


def train_on_features(plan: TrainingPlan) -> TrainingResult:
    """Extract the features of each view of each image once, and train a bank of heads on them."""
    spec = plan.spec
    (stage, *_) = list_stages(spec, is_untrained=False)

    # Features of every part.
    backbone = LazyBackbone(plan.names.source, network=spec.network, head=spec.head)
    if spec.fine_tune.blocks is not None:
        require_blocks(backbone.model, spec.fine_tune.blocks)
    views = views_of(plan)
    extracted = extract(
        parts_of(plan),
        FrozenBase(
            key=backbone.base(),
            build=lambda: build_feature_extractor(backbone.model, pooling=spec.head.pooling),
            engine=spec.network.engine,
        ),
        views={part: views if part == "train" else CLEAN for part in SPLITS},
        augmenter=augmenter_of(plan, backbone.image_size) if views.count > 1 else None,
        reporter=plan.reporter,
    )
    plan.reporter.note(extracted.line)
    train, validation = extracted.parts["train"], extracted.parts["validation"]

    # The bank, and its best head.
    heads = list_head_candidates(plan, num_features=train.num_features, count=spec.head.heads)
    fitted = fit_heads(
        search_of(plan, heads.candidates, epochs=stage.epochs),
        train=train,
        validation=validation,
        class_weights=class_weights(plan.dataset, spec.fit.class_weights),
        reporter=plan.reporter,
    )
    head = fitted.heads[fitted.best]
    model = build_classifier(backbone.model, head, pooling=spec.head.pooling)
    predictions: dict[Split, Predictions] = {"validation": (predict_features(head, validation), validation.labels)}
    if "test" in extracted.parts:
        predictions["test"] = (predict_features(head, extracted.parts["test"]), extracted.parts["test"].labels)
    # Cached features agreed with the model when they were computed; decoding the images again takes seconds.
    is_new = bool(extracted.record.new)
    return TrainingResult(
        model=model,
        predictions=predictions,
        history=list(fitted.history),
        stages=[describe_bank(plan, stage, fitted)],
        backbone=backbone.record(),
        notes=[*notes_of(extracted), *heads.notes],
        features=extracted.record,
        engine=extracted.engine,
        agreement=_compare_with_model(plan, model, predictions["validation"][0]) if is_new else None,
        bank=fitted.trials,
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


def predict_features(head: Model, features: Features) -> Probabilities:
    """Probabilities (images, classes) of a head on the clean views of a part."""
    pieces = (np.asarray(head.predict_on_batch(rows)) for _, rows in features.pieces(PREDICTION_BATCH))
    return join_rows(pieces, len(features))


def describe_bank(plan: TrainingPlan, stage: Stage, fitted: FittedHeads) -> StageRecord:
    """The record of the stage in run.json, with the best head of the bank."""
    best = fitted.trials[0]
    return StageRecord(
        name=stage.name,
        unfreeze=stage.unfreeze,
        epochs=len(fitted.history),
        best_epoch=best.best_epoch,
        validation_loss=best.validation_loss,
        heads=len(fitted.heads),
        chosen=ChosenHead(l2=best.l2, learning_rate=best.learning_rate, dropout=best.dropout, seed=best.seed),
        seconds=round(fitted.seconds, 2),
        recipe=recipe_of_bank(plan, stage, best),
    )


def notes_of(extracted: Extracted) -> list[str]:
    """What the user should know of the features."""
    damaged = extracted.record.damaged_shards
    return [f"{damaged} damaged shards of the feature cache were computed again"] if damaged else []


def _compare_with_model(plan: TrainingPlan, model: Model, by_features: Probabilities) -> Agreement:
    """Compare probabilities from cached features with those of the saved model in float32, on a few images."""
    examples = plan.dataset.part("validation")
    places = spread_places(len(examples))
    square = plan.square(int(model.input_shape[1]))
    batches = pixel_batches([examples[place] for place in places], square=square, batch=len(places))
    with plan.reporter.task("comparing with the model", None):
        exact, _ = predict_batches(model, batches)
    return measure_agreement(exact, by_features[places])
