"""What a training shows of its images: clean or in views, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.features.cached import Views
from pipelines.fitting.network import Batches
from pipelines.images.augment import Augmenter, build_augmenter, build_mixer
from pipelines.images.batches import pixel_batches
from pipelines.images.policies import Switches, default_views, find_policy, policy_digest
from pipelines.runs.examples import SPLITS, Example
from pipelines.runs.spec import TrainSpec
from pipelines.training.plan import TrainingPlan, class_weights


def pixels_of(work: TrainingPlan, size: int) -> tuple[Batches, Any]:
    """Fresh views of the training images for each epoch, and the clean validation images."""
    spec, train = work.spec, work.dataset.part("train")
    policy, num_classes = find_policy(spec.augment, switches_of(spec)), len(work.dataset.class_names)
    augmenter = augmenter_of(work, size) if policy.steps else None
    mixer, weights = build_mixer(policy), class_weights(work.dataset, spec.class_weights)

    def batches(epoch: int) -> Any:
        return pixel_batches(
            train,
            size=size,
            batch=spec.batch_size,
            augmenter=augmenter,
            shuffle=True,
            epoch=epoch,
            seed=spec.seed,
            class_weights=weights,
            num_classes=num_classes if mixer else None,
            mixer=mixer,
        )

    return batches, pixel_batches(work.dataset.part("validation"), size=size, batch=spec.batch_size)


def views_of(spec: TrainSpec) -> Views:
    """Which views of each training image are computed once."""
    return Views(
        count=spec.views or default_views(spec.augment),
        policy=spec.augment,
        policy_digest=policy_digest(spec.augment, switches_of(spec)),
        seed=spec.seed,
    )


def switches_of(spec: TrainSpec) -> Switches:
    """What is known of the pictures, whatever the policy."""
    return Switches(no_flip=spec.no_flip, rotate90=spec.rotate90, no_color=spec.no_color)


def augmenter_of(work: TrainingPlan, size: int) -> Augmenter:
    """What makes views of images of this size."""
    return build_augmenter(work.spec.augment, size=size, switches=switches_of(work.spec))


def parts_of(work: TrainingPlan) -> dict[str, Sequence[Example]]:
    """The parts that have images."""
    return {part: work.dataset.part(part) for part in SPLITS if work.dataset.part(part)}
