"""What a training shows of its images: clean or in views, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.features.cached import Views
from pipelines.fitting.network import FitData
from pipelines.images.augment import Augmenter, build_augmenter, build_mixer
from pipelines.images.batches import pixel_batches
from pipelines.runs.examples import SPLITS, Example
from pipelines.training.plan import TrainingPlan, class_weights


def pixels_of(plan: TrainingPlan, size: int) -> FitData:
    """Fresh views of the training images for each epoch, and the clean validation images."""
    spec, train = plan.spec, plan.dataset.part("train")
    policy, num_classes = plan.names.policy, plan.num_classes
    augmenter = augmenter_of(plan, size) if policy.steps else None
    mixer, weights = build_mixer(policy), class_weights(plan.dataset, spec.fit.class_weights)

    def batches(epoch: int) -> Any:
        return pixel_batches(
            train,
            size=size,
            batch=spec.fit.batch_size,
            augmenter=augmenter,
            shuffle=True,
            epoch=epoch,
            seed=spec.fit.seed,
            class_weights=weights,
            num_classes=num_classes if mixer else None,
            mixer=mixer,
        )

    validation = pixel_batches(plan.dataset.part("validation"), size=size, batch=spec.fit.batch_size)
    return FitData(train=batches, validation=validation, num_images=len(train))


def views_of(plan: TrainingPlan) -> Views:
    """Which views of each training image are computed once."""
    policy = plan.names.policy
    return Views(
        count=plan.spec.data.views or policy.views,
        policy=policy.name,
        policy_digest=policy.digest,
        seed=plan.spec.fit.seed,
    )


def augmenter_of(plan: TrainingPlan, size: int) -> Augmenter:
    """What makes views of images of this size."""
    return build_augmenter(plan.names.policy, size=size)


def parts_of(plan: TrainingPlan) -> dict[str, Sequence[Example]]:
    """The parts that have images."""
    return {part: plan.dataset.part(part) for part in SPLITS if plan.dataset.part(part)}
