"""The fine-tuning stage: the top blocks learn under the trained head, and what is better on validation is kept.

What stays frozen below them runs once: its activations are cached, and every epoch goes through the top blocks alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from models.blocks import divide, first_trained
from models.classifier import top_of
from models.freezing import freeze, set_trainable
from models.surgery import boundary_layer, split_at
from models.updates import layer_factors
from pipelines.evaluation.calibration import calibrate
from pipelines.evaluation.comparison import compare_models, fine_tuning_line
from pipelines.features.boundary import Boundary, boundary_batches, epoch_of, flattened, limit, make_room
from pipelines.features.cached import CLEAN
from pipelines.features.extract import Extracted, extract
from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.network import fit_network
from pipelines.images.policies import find_policy
from pipelines.images.readable import DECODE_VERSION
from pipelines.runs.examples import Example
from pipelines.runs.spec import Recipe, Stage
from pipelines.training import head_stage as stages
from pipelines.training.curves import watcher
from pipelines.training.inputs import augmenter_of, pixels_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights, stages_of


def fine_tune(work: TrainingPlan, before: TrainingResult) -> TrainingResult:
    """Train the top blocks and the head further, and keep the better of the two models on validation.

    Args:
        work: the training.
        before: what it gave so far: the frozen backbone under a trained head. It is changed, and returned.

    Raises:
        UserError: there are no such blocks, or memory does not suffice for one image.
    """
    stage = stages_of(work.spec, untrained=False)[1]
    model = before.model
    backbone = model.get_layer("backbone")
    frozen = [np.array(weight) for weight in model.get_weights()]

    # What is trained, and what stays below it.
    trained = _names(backbone, stage.unfreeze)
    set_trainable(backbone, stage.unfreeze, train_bn=work.spec.train_bn)
    _hold_norms(model.get_layer("head"), train_bn=work.spec.train_bn)
    lower, top = _cut(model, backbone, stage.unfreeze)
    factors = layer_factors(top, backbone, work.spec.layer_decay)

    # The activations at the boundary come from the cache, or every epoch runs through the whole network.
    found = _activations(work, before, lower, stage.unfreeze) if lower is not None and work.spec.cache else None
    if found is None:
        progress = _on_pixels(work, top, lower, stage, factors)
    else:
        progress = _on_activations(work, top, stage, factors, found)

    # The better one is kept. Both are judged at the temperature that suits validation best, so that a gain is none of
    # calibration; the fine-tuned one keeps it.
    rival = calibrate(before.answers)
    cool(model.get_layer("head"), progress.temperature)
    size = int(model.input_shape[1])
    after = stages.answer_parts(work, model, size) if progress.best_epoch else rival
    compared = {
        part: compare_models(probabilities, rival[part][0], labels, names=("fine-tuned", "frozen"), part=part)
        for part, (probabilities, labels) in after.items()
    }
    kept = bool(progress.best_epoch) and compared["validation"].first_is_better
    line = fine_tuning_line(compared["validation"], is_kept=kept)
    work.reporter.note(line)
    before.notes.append(line)
    before.history += progress.history
    record = stages.stage_record(stage, progress) | {"temperature": round(progress.temperature, 4)}
    before.stages.append({**record, "trained": trained, "kept": kept, "compared": compared})
    if not kept:
        model.set_weights(frozen)
        freeze(backbone)
        return before
    before.answers = after
    # Its features are no longer those of the published weights: nothing cached under their hash holds.
    before.backbone = {name: value for name, value in before.backbone.items() if name != "weights_sha256"}
    before.backbone["fine_tuned"] = trained
    return before


def cool(head: keras.Model, temperature: float) -> None:
    """Divide a head's logits by a temperature (Guo et al., 2017), inside its last layer."""
    last = head.get_layer("probabilities")
    last.set_weights([weight / temperature for weight in last.get_weights()])


def recipe_of(work: TrainingPlan) -> Recipe:
    """How a fine-tuning stage steps: a slow start, half a cosine down, and less from block to block."""
    spec = work.spec
    return Recipe(
        optimizer=spec.rule,
        schedule="cosine",
        warm_up=spec.warm_up,
        patience=spec.patience,
        layer_decay=spec.layer_decay,
        weight_decay=spec.weight_decay,
        clip=spec.clip or None,
        label_smoothing=spec.label_smoothing,
        ema=spec.ema,
        precision=spec.precision,
        calibrate=True,
    )


def _names(backbone: keras.Model, unfreeze: str) -> list[str]:
    names = [name for name, _ in divide(backbone)]
    return names[first_trained(names, unfreeze) :]


def _hold_norms(head: keras.Model, *, train_bn: bool) -> None:
    """Let the head's BatchNormalization use what it has learnt on cached features: batches are small from here."""
    for layer in head.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = train_bn


def _cut(model: keras.Model, backbone: keras.Model, unfreeze: str) -> tuple[keras.Model | None, keras.Model]:
    """What stays as it is, None where nothing does; and what is trained: from there to probabilities."""
    count = len(_names(backbone, unfreeze))
    if count in (0, len(divide(backbone))):
        return (None, model) if count else (backbone, top_of(model))
    lower, upper = split_at(backbone, unfreeze)
    return lower, top_of(model, upper)


def _activations(
    work: TrainingPlan, before: TrainingResult, lower: keras.Model, unfreeze: str
) -> tuple[Extracted, Boundary] | None:
    """The activations at the boundary, computed where they are not cached; None where they cannot be."""
    spec, say = work.spec, work.reporter
    policy = find_policy(spec.augment)
    if policy.mixup or policy.cutmix:
        say.note("fine-tuning: the policy mixes images, so every epoch runs through the whole network")
        return None
    digest = before.backbone.get("weights_sha256")
    if digest is None:
        return None
    backbone = before.model.get_layer("backbone")
    boundary = Boundary(
        backbone=work.source.name,
        weights_sha256=str(digest),
        image_size=int(before.model.input_shape[1]),
        pooling="none",
        decode_version=DECODE_VERSION,
        layer=boundary_layer(backbone, unfreeze),
        shape=tuple(int(each) for each in lower.output_shape[1:]),
    )
    views = views_of(spec)
    parts: dict[str, Sequence[Example]] = {
        "train": work.dataset.part("train"),
        "validation": work.dataset.part("validation"),
    }
    rows = len(parts["train"]) * views.count + len(parts["validation"])
    needed, budget = rows * boundary.row_bytes, limit()
    what = f"{rows:,} views x {_size(boundary.row_bytes)} = {_size(needed)}"
    if needed > budget:
        say.note(
            f"fine-tuning: activations at `{boundary.layer}` would take {what}, more than the {_size(budget)} "
            "kept for them: every epoch runs through the whole network"
        )
        return None
    say.note(f"fine-tuning: activations at `{boundary.layer}`: {what}, at most {_size(budget)}")
    make_room(boundary, needed, budget)
    found = extract(
        parts,
        boundary,
        build=lambda: flattened(lower),
        views={"train": views, "validation": CLEAN},
        engine=spec.engine,
        augmenter=augmenter_of(work, boundary.image_size) if views.count > 1 else None,
        reporter=say,
    )
    say.note(found.line.replace("features:", "activations:"))
    return found, boundary


def _on_activations(
    work: TrainingPlan, top: keras.Model, stage: Stage, factors: list[float], found: tuple[Extracted, Boundary]
) -> StageProgress:
    spec, (collected, boundary) = work.spec, found
    part, weights = collected.parts["train"], class_weights(work.dataset, spec.class_weights)

    def batches(epoch: int) -> Any:
        order, views = epoch_of(part, spec.seed, epoch)
        return boundary_batches(
            part, boundary.shape, batch=spec.batch_size, order=order, views=views, class_weights=weights
        )

    with watcher(work.folder, tensorboard=spec.tensorboard) as watch:
        return fit_network(
            top,
            stage,
            recipe_of(work),
            train=batches,
            validation=boundary_batches(collected.parts["validation"], boundary.shape, batch=spec.batch_size),
            num_images=len(part),
            state=work.state,
            reporter=work.reporter,
            factors=factors,
            watch=watch,
        )


def _on_pixels(
    work: TrainingPlan, top: keras.Model, lower: keras.Model | None, stage: Stage, factors: list[float]
) -> StageProgress:
    size = int((lower or top).input_shape[1])
    train, validation = pixels_of(work, size)
    with watcher(work.folder, tensorboard=work.spec.tensorboard) as watch:
        return fit_network(
            top,
            stage,
            recipe_of(work),
            train=train,
            validation=validation,
            num_images=len(work.dataset.part("train")),
            state=work.state,
            reporter=work.reporter,
            trunk=lower,
            factors=factors,
            watch=watch,
        )


def _size(count: int) -> str:
    """Bytes for people."""
    unit, size = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6) if count >= 1e5 else ("kB", 1e3)
    return f"{count / size:,.1f} {unit}"
