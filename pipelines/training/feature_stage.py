"""Trains a head on cached features: every view of every image passes the frozen base once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.classifier import build_classifier
from pipelines.evaluation.agreement import measure_agreement, spread_places
from pipelines.evaluation.predictions import predict_batches
from pipelines.features.cached import CLEAN
from pipelines.features.extract import Extracted, extract
from pipelines.features.subset import first_features
from pipelines.fitting.heads import predict_features
from pipelines.images.batches import pixel_batches
from pipelines.runs.examples import SPLITS, Split
from pipelines.runs.manifest import Agreement
from pipelines.training.feature_layers import find_layers
from pipelines.training.fit_head import fit_head
from pipelines.training.head_stage import HeadFeatures
from pipelines.training.inputs import augmenter_of, parts_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, list_stages

if TYPE_CHECKING:
    from keras import Model

    from models.arrays import Probabilities
    from pipelines.evaluation.predictions import Predictions


def train_on_features(plan: TrainingPlan) -> TrainingResult:
    """Extract the features of each view of each image once, and fit a head to them."""
    spec = plan.spec
    (stage, *_) = list_stages(spec, is_untrained=False)

    # Features of every part.
    base, views = find_layers(plan), views_of(plan)
    backbone = base.backbone
    extracted = extract(
        parts_of(plan),
        base.frozen,
        views={part: views if part == "train" else CLEAN for part in SPLITS},
        augmenter=augmenter_of(plan, backbone.image_size) if views.count > 1 else None,
        reporter=plan.reporter,
    )
    plan.reporter.note(extracted.line)

    # The head, on the layers that are chosen.
    num_features = extracted.parts["train"].num_features
    features = HeadFeatures(
        train=extracted.parts["train"],
        validation=extracted.parts["validation"],
        widths=base.widths(num_features),
        num_last=base.num_last(num_features),
    )
    fitted = fit_head(plan, stage, features)
    head, width = fitted.head, features.widths[fitted.features]
    parts = {name: first_features(part, width) for name, part in extracted.parts.items()}
    chosen = backbone.plain if fitted.features == "last" else backbone.model
    model = build_classifier(chosen, head, pooling=spec.head.pooling, mirror=spec.head.mirror)
    predictions: dict[Split, Predictions] = {"validation": fitted.predictions}
    if "test" in parts:
        predictions["test"] = (predict_features(head, parts["test"]), parts["test"].labels)
    # Cached features agreed with the model when they were computed; decoding the images again takes seconds.
    is_new = bool(extracted.record.new)
    agreement = _compare_with_model(plan, model, predict_features(head, parts["validation"])) if is_new else None
    return TrainingResult(
        model=model,
        predictions=predictions,
        judged=fitted.judged,
        out_of_fold=fitted.out_of_fold,
        history=list(fitted.history),
        stages=[fitted.stage],
        backbone=backbone.record(),
        notes=[*notes_of(extracted), *fitted.notes],
        features=extracted.record,
        feature_layers=fitted.features,
        engine=extracted.engine,
        agreement=agreement,
        bank=fitted.trials,
        cross_validation=fitted.cross_validation,
        training_head=fitted.training_head,
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
    with plan.reporter.task("comparing", None):
        exact, _ = predict_batches(model, batches)
    return measure_agreement(exact, by_features[places])
