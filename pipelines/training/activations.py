"""Computes the activations at the boundary of the fine-tuned blocks once, where there is room to keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal

from models.splitting import boundary_layer
from pipelines.features.boundary import Boundary, activation_limit, boundary_batches, draw_epoch, flattened, make_room
from pipelines.features.cached import CLEAN, Views
from pipelines.features.extract import Extracted, extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.fitting.network import Batches, FitData
from pipelines.images.readable import DECODE_VERSION
from pipelines.runs.examples import Split
from pipelines.training.inputs import augmenter_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights

if TYPE_CHECKING:
    import keras

FITTED_PARTS: tuple[Split, ...] = ("train", "validation")


def activations_of(plan: TrainingPlan, frozen: TrainingResult, lower: keras.Model, unfreeze: str) -> FitData | None:
    """Batches of the activations at the boundary, computed where they are not cached; None where they cannot be kept.

    Args:
        plan: of the training.
        frozen: the frozen backbone under a trained head.
        lower: pixels -> activations at the boundary.
        unfreeze: the blocks above it.
    """
    spec, policy, reporter = plan.spec, plan.names.policy, plan.reporter
    weights_sha256 = frozen.backbone.weights_sha256
    if not spec.data.cache:
        return None
    if policy.mixup or policy.cutmix:
        reporter.note("fine-tuning: the policy mixes images, so every epoch runs through the whole network")
        return None
    if weights_sha256 is None:
        return None
    boundary = Boundary(
        backbone=plan.names.source.name,
        weights_sha256=weights_sha256,
        image_size=int(frozen.model.input_shape[1]),
        pooling="none",
        decode_version=DECODE_VERSION,
        fit=spec.network.image_fit,
        layer=boundary_layer(frozen.model.get_layer("backbone"), unfreeze),
        shape=tuple(int(side) for side in lower.output_shape[1:]),
    )
    views = views_of(plan)
    if not _make_room_for(plan, boundary, views):
        return None
    extracted = extract(
        {part: plan.dataset.part(part) for part in FITTED_PARTS},
        FrozenBase(key=boundary, build=lambda: flattened(lower), engine=spec.network.engine),
        views={"train": views, "validation": CLEAN},
        augmenter=augmenter_of(plan, boundary.image_size) if views.count > 1 else None,
        reporter=reporter,
    )
    reporter.note(extracted.line.replace("features:", "activations:"))
    return _batches_of(plan, extracted, boundary)


def _make_room_for(plan: TrainingPlan, boundary: Boundary, views: Views) -> bool:
    """Whether the activations fit the space that is kept for them; others are deleted where they must."""
    rows = len(plan.dataset.part("train")) * views.count + len(plan.dataset.part("validation"))
    needed, budget = rows * boundary.row_bytes, activation_limit()
    size = f"{rows:,} views x {decimal(boundary.row_bytes)} = {decimal(needed)}"
    if needed > budget:
        plan.reporter.note(
            f"fine-tuning: activations at `{boundary.layer}` would take {size}, more than the {decimal(budget)} "
            "kept for them: every epoch runs through the whole network"
        )
        return False
    plan.reporter.note(f"fine-tuning: activations at `{boundary.layer}`: {size}, at most {decimal(budget)}")
    make_room(boundary, needed, budget)
    return True


def _batches_of(plan: TrainingPlan, extracted: Extracted, boundary: Boundary) -> FitData:
    """Batches of activations."""
    fit, train = plan.spec.fit, extracted.parts["train"]
    weights = class_weights(plan.dataset, fit.class_weights)

    def batches(epoch: int) -> Batches:
        order, views = draw_epoch(train, fit.seed, epoch)
        return boundary_batches(
            train, boundary.shape, batch=fit.batch_size, order=order, views=views, class_weights=weights
        )

    validation = boundary_batches(extracted.parts["validation"], boundary.shape, batch=fit.batch_size)
    return FitData(train=batches, validation=validation, num_images=len(train))
