"""Chooses the views and pixels that a training reads: fixed views for cached features, fresh ones for each epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.features.cached import Views
from pipelines.fitting.network import FitData
from pipelines.images.augment import Augmenter, build_augmenter
from pipelines.images.batches import Batches, Draws, pixel_batches
from pipelines.images.in_memory import array_batches, decode_all, fits_in_memory
from pipelines.images.mixing import build_mixer
from pipelines.runs.examples import SPLITS, Example
from pipelines.training.plan import TrainingPlan, class_weights

DECODED_AT_ONCE = 64  # images


def pixels_of(plan: TrainingPlan, size: int) -> FitData:
    """Fresh views of the training images for each epoch, and the clean validation images.

    Args:
        plan: of the training.
        size: side of the images, pixels.

    Returns:
        Batches as of `pixel_batches`; labels are one-hot where the policy mixes images. An epoch has as many images as
        the training part, each as often as its weight says.
    """
    spec, train = plan.spec, plan.dataset.part("train")
    policy, num_classes = plan.names.policy, plan.num_classes
    augmenter = augmenter_of(plan, size) if policy.steps else None
    mixer, weights = build_mixer(policy), class_weights(plan.dataset, spec.fit.class_weights)

    def batches(epoch: int) -> Batches:
        return pixel_batches(
            _drawn_by_weight(plan, epoch),
            square=plan.square(size),
            batch=spec.fit.batch_size,
            draws=Draws(epoch=epoch, seed=spec.fit.seed, shuffle=True, augmenter=augmenter, mixer=mixer),
            class_weights=weights,
            num_classes=num_classes if mixer else None,
        )

    validation = pixel_batches(plan.dataset.part("validation"), square=plan.square(size), batch=spec.fit.batch_size)
    is_clean = augmenter is None and mixer is None
    if is_clean and fits_in_memory(len(train) + len(plan.dataset.part("validation")), size):
        return _held_in_memory(plan, size, validation)
    return FitData(train=batches, validation=validation, num_images=len(train))


def _held_in_memory(plan: TrainingPlan, size: int, validation: Batches) -> FitData:
    """The same batches of clean images as from their files, which are decoded once."""
    spec, train = plan.spec, plan.dataset.part("train")
    read = pixel_batches(train, square=plan.square(size), batch=DECODED_AT_ONCE)
    pixels = decode_all(read, len(train), reporter=plan.reporter)
    labels = np.asarray([example.label for example in train], np.int32)
    weights = class_weights(plan.dataset, spec.fit.class_weights)
    place_of = {example.path: place for place, example in enumerate(train)}

    def batches(epoch: int) -> Batches:
        return array_batches(
            pixels,
            labels,
            [place_of[example.path] for example in _drawn_by_weight(plan, epoch)],
            batch=spec.fit.batch_size,
            draws=Draws(epoch=epoch, seed=spec.fit.seed, shuffle=True),
            class_weights=weights,
        )

    # `cache` keeps what the first pass decodes.
    return FitData(train=batches, validation=validation.cache(), num_images=len(train))


def _drawn_by_weight(plan: TrainingPlan, epoch: int) -> Sequence[Example]:
    """The training images of an epoch: systematic sampling, so that each occurs as often as its weight, or once more.

    A bootstrap sample has whole weights, and is the same in every epoch.
    """
    train, weights = plan.dataset.part("train"), plan.image_weights
    if weights is None:
        return train
    assert len(weights) == len(train), "a weight for every training image"
    # The sum is the number of images, so that the points lie a step of 1 apart.
    ends = np.cumsum(weights, dtype=np.float64) * (len(train) / np.sum(weights, dtype=np.float64))
    points = np.arange(len(train)) + np.random.default_rng((plan.spec.fit.seed, epoch)).uniform()
    return [train[place] for place in np.searchsorted(ends, points).clip(max=len(train) - 1)]


def views_of(plan: TrainingPlan) -> Views:
    """The views of each training image whose features are cached."""
    policy = plan.names.policy
    return Views(
        count=plan.spec.data.views or policy.views,
        policy=policy.name,
        policy_digest=policy.digest,
        seed=plan.spec.fit.seed,
    )


def augmenter_of(plan: TrainingPlan, size: int) -> Augmenter:
    """The function that makes views of images of `size` x `size` pixels."""
    return build_augmenter(plan.names.policy, size=size)


def parts_of(plan: TrainingPlan) -> dict[str, Sequence[Example]]:
    """The parts that have images."""
    return {part: plan.dataset.part(part) for part in SPLITS if plan.dataset.part(part)}
