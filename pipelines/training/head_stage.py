"""The stages of a training: a head on cached features, a head on fresh pixels, the top blocks, or everything.

Each takes the training's `Work` and gives an `Outcome`: the model as it stands, its answers, and how it went.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import build, features_model, top_of
from models.freezing import freeze
from models.heads import build_head
from pipelines.evaluation.predictions import Predictions, predict_batches
from pipelines.features.cached import CLEAN
from pipelines.features.extract import Extracted, extract
from pipelines.fitting.candidates import candidates
from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.heads import FittedHeads, fit_heads
from pipelines.fitting.network import fit_network
from pipelines.images.batches import pixel_batches
from pipelines.runs.examples import SPLITS, Split
from pipelines.runs.spec import Recipe, Stage, TrainSpec
from pipelines.training.backbone import LazyBackbone
from pipelines.training.curves import watcher
from pipelines.training.inputs import augmenter_of, parts_of, pixels_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights, stages_of

if TYPE_CHECKING:
    from keras import Model

Floats = NDArray[np.float32]
AGREEMENT_IMAGES = 16


def head_on_features(work: TrainingPlan) -> TrainingResult:
    """Compute each view of each image once and fit a bank of heads on the features."""
    spec, dataset = work.spec, work.dataset
    stage = stages_of(spec, untrained=False)[0]
    backbone = LazyBackbone(work.source, image_size=work.spec.image_size, pooling=work.spec.pooling)
    views = views_of(spec)
    found = extract(
        parts_of(work),
        backbone.base(),
        build=lambda: features_model(backbone.model, pooling=spec.pooling),
        views={part: views if part == "train" else CLEAN for part in SPLITS},
        engine=spec.engine,
        augmenter=augmenter_of(work, backbone.image_size) if views.count > 1 else None,
        reporter=work.reporter,
    )
    work.reporter.note(found.line)
    train, validation = found.parts["train"], found.parts["validation"]
    chosen = candidates(
        work.head,
        count=spec.heads,
        num_features=train.num_features,
        num_classes=len(dataset.class_names),
        seed=spec.seed,
        l2=spec.l2,
        learning_rate=spec.learning_rate,
        dropout=spec.dropout,
        optimizer=spec.rule,
    )
    fitted = fit_heads(
        work.head,
        chosen,
        train=train,
        validation=validation,
        num_classes=len(dataset.class_names),
        optimizer=spec.rule,
        epochs=stage.epochs,
        class_weights=class_weights(dataset, spec.class_weights),
        seed=spec.seed,
        reporter=work.reporter,
    )
    head = fitted.heads[fitted.best]
    model = build(backbone.model, head, pooling=spec.pooling)
    judged = {"validation": (fitted.validation[fitted.best], validation.labels)}
    if "test" in found.parts:
        judged["test"] = (head_answers(head, found.parts["test"]), found.parts["test"].labels)
    keep_bank(work, fitted)
    # Features that were there before were held to the model when they were computed; decoding again takes seconds.
    agreement = _agreement(work, model, judged["validation"][0]) if found.record["new"] else None
    return TrainingResult(
        model=model,
        answers=judged,
        history=list(fitted.history),
        stages=[head_record(stage, fitted)],
        backbone=backbone.record(),
        notes=notes_of(found),
        extra={"features": found.record, "engine": found.engine, "agreement": agreement, "bank": list(fitted.rows)},
    )


def head_on_pixels(work: TrainingPlan) -> TrainingResult:
    """Fit one head with the frozen base in the loop: fresh views in every epoch, nothing cached."""
    backbone = work.source.build(work.spec.image_size)
    freeze(backbone)
    stage = stages_of(work.spec, untrained=False)[0]
    return on_pixels(work, stage, backbone, frozen=True)


def keep_bank(work: TrainingPlan, fitted: FittedHeads) -> None:
    """Write the heads that were not chosen, with their validation answers, for an ensemble to choose from."""
    from pipelines.system.files import atomic

    arrays: dict[str, Any] = {"validation": fitted.validation.astype(np.float32)}
    for number, head in enumerate(fitted.heads):
        arrays |= {f"head{number}/{place}": weight for place, weight in enumerate(head.get_weights())}
    with atomic(work.folder / "heads.npz") as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def on_pixels(
    work: TrainingPlan,
    stage: Stage,
    backbone: Model,
    *,
    frozen: bool = False,
    prepare: Callable[[Model], tuple[Model, list[tuple[Stage, StageProgress]]]] | None = None,
) -> TrainingResult:
    """Train on pixels, clean or in fresh views, from a head that is new.

    Args:
        work: the training.
        stage: of it.
        backbone: pixels -> features.
        frozen: whether it stays as it is.
        prepare: gets the classifier before it is trained; gives what is trained in its stead, sharing its layers, and
            the stages that it has been through already.
    """
    spec = work.spec
    probe = features_model(backbone, pooling=spec.pooling)
    head = build_head(
        work.head,
        num_features=int(probe.output_shape[-1]),
        num_classes=len(work.dataset.class_names),
        dropout=spec.dropout,
    )
    model = build(backbone, head, pooling=spec.pooling)
    size = int(model.input_shape[1])
    trained, before = prepare(model) if prepare else (top_of(model) if frozen else model, [])
    train, validation = pixels_of(work, size)
    with watcher(work.folder, tensorboard=spec.tensorboard) as watch:
        progress = fit_network(
            trained,
            stage,
            recipe_of(spec),
            train=train,
            validation=validation,
            num_images=len(work.dataset.part("train")),
            state=work.state,
            reporter=work.reporter,
            trunk=backbone if frozen else None,
            watch=watch,
        )
    return TrainingResult(
        model=model,
        answers=answer_parts(work, model, size),
        history=[record for _, earlier in before for record in earlier.history] + progress.history,
        stages=[stage_record(*each) for each in [*before, (stage, progress)]],
        backbone=work.source.record(backbone),
        notes=[],
        extra={"features": "none: streamed through the whole network in every epoch"},
    )


def recipe_of(spec: TrainSpec) -> Recipe:
    """How a network is trained in a stage that is no fine-tuning."""
    return Recipe(
        optimizer=spec.rule,
        patience=spec.patience,
        weight_decay=spec.weight_decay,
        label_smoothing=spec.label_smoothing,
        ema=spec.ema,
        precision=spec.precision,
    )


def answer_parts(work: TrainingPlan, model: Model, size: int) -> dict[str, Predictions]:
    """What a model says of the images that judge it: part -> (probabilities, labels)."""
    parts: tuple[Split, ...] = ("validation", "test")
    return {
        part: predict_batches(model, pixel_batches(work.dataset.part(part), size=size, batch=work.spec.batch_size))
        for part in parts
        if work.dataset.part(part)
    }


def head_answers(head: Model, part: Any) -> Floats:
    """What a head says of the clean views of a part: (images, classes)."""
    return np.concatenate([np.asarray(head.predict_on_batch(rows)) for _, rows in part.pieces(1024)])


def _agreement(work: TrainingPlan, model: Model, fast: Floats) -> dict[str, Any]:
    """Compare what the cached features say with what the saved model says in float32, on a few images."""
    examples = work.dataset.part("validation")
    step = max(1, len(examples) // AGREEMENT_IMAGES)
    numbers = list(range(0, len(examples), step))[:AGREEMENT_IMAGES]
    size = int(model.input_shape[1])
    exact, _ = predict_batches(
        model, pixel_batches([examples[each] for each in numbers], size=size, batch=len(numbers))
    )
    return {
        "images": len(numbers),
        "top1_agreement": float((exact.argmax(1) == fast[numbers].argmax(1)).mean()),
        "max_difference": round(float(np.abs(exact - fast[numbers]).max()), 5),
    }


def notes_of(found: Extracted) -> list[str]:
    """What the user should know of the features."""
    damaged = found.record["damaged_shards"]
    return [f"{damaged} damaged shards of the feature cache were computed again"] if damaged else []


def head_record(stage: Stage, fitted: FittedHeads) -> dict[str, Any]:
    """What run.json says of the best head of a bank."""
    lead = fitted.rows[0]
    return {
        "name": stage.name,
        "unfreeze": stage.unfreeze,
        "epochs": len(fitted.history),
        "best_epoch": lead["best_epoch"],
        "validation_loss": lead["validation_loss"],
        "heads": len(fitted.heads),
        "chosen": {name: lead[name] for name in ("l2", "learning_rate", "dropout", "seed")},
        "seconds": round(fitted.seconds, 2),
    }


def stage_record(stage: Stage, progress: StageProgress) -> dict[str, Any]:
    """What run.json says of a stage."""
    return {
        "name": stage.label,
        "unfreeze": stage.unfreeze,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "validation_loss": round(progress.best_loss, 5),
        "seconds": round(sum(each["seconds"] for each in progress.history), 2),
    }
