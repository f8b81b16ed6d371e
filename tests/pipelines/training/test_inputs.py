"""The images that a training reads: the views whose features are cached, and the pixels of each epoch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches
from pipelines.runs.examples import Dataset, Example
from pipelines.system.progress import Silent
from pipelines.training import inputs
from pipelines.training.backbone import BackboneSource
from pipelines.training.inputs import augmenter_of, parts_of, pixels_of, views_of
from pipelines.training.plan import TrainingNames, TrainingPlan
from tests.specs import train_spec

SIZE = 16
IMAGE = np.random.default_rng(5).uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)


def plan_of(examples: tuple[Example, ...] = (), **options: Any) -> TrainingPlan:
    spec = train_spec(**options)
    switches = Switches(no_flip=spec.data.no_flip, rotate90=spec.data.rotate90, no_color=spec.data.no_color)
    source = BackboneSource(name="small_cnn", backbone=BACKBONES["small_cnn"], weights="none")
    names = TrainingNames(head=HEADS["linear"], source=source, policy=find_policy(spec.data.augment, switches))
    dataset = Dataset(root="", origin="folders", class_names=("a", "b"), examples=examples)
    return TrainingPlan(spec=spec, names=names, dataset=dataset, folder=Path(), reporter=Silent())


def cached_views(plan: TrainingPlan, count: int) -> list[np.ndarray]:
    augment = augmenter_of(plan, SIZE)
    return [np.asarray(augment(tf.constant(IMAGE), tf.constant([3, 7]), tf.constant(view))) for view in range(count)]


def test_rotate90_alone_gives_quarter_turns_of_each_image() -> None:
    plan = plan_of(rotate90=True)
    assert views_of(plan).count > 1
    turns = [np.rot90(IMAGE, quarter) for quarter in range(4)]
    seen = set()
    for view in cached_views(plan, 24):
        matches = [quarter for quarter, turn in enumerate(turns) if np.allclose(view, turn, atol=1e-3)]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("options", [{}, {"no_flip": True}, {"no_color": True}])
def test_without_policy_and_switch_there_is_one_clean_view(options: dict[str, Any]) -> None:
    assert views_of(plan_of(**options)).count == 1


def test_the_number_of_views_is_what_is_asked_for_or_the_policy_has() -> None:
    assert views_of(plan_of(augment="light")).count == 4
    assert views_of(plan_of(augment="light", views=9)).count == 9
    assert views_of(plan_of(rotate90=True, views=3)).count == 3


@pytest.mark.parametrize("policy", ["light", "medium", "strong"])
@pytest.mark.parametrize("switch", ["no_flip", "rotate90", "no_color"])
def test_a_switch_that_changes_a_policy_changes_what_is_cached(policy: str, switch: str) -> None:
    options: dict[str, Any] = {switch: True}
    plain, switched = views_of(plan_of(augment=policy)), views_of(plan_of(augment=policy, **options))
    has_no_colour_step = policy == "light" and switch == "no_color"
    assert (plain.policy_digest == switched.policy_digest) == has_no_colour_step


def test_no_flip_never_mirrors() -> None:
    mirrored = plan_of(augment="light")
    views = np.stack(cached_views(mirrored, 40))
    unflipped = np.stack(cached_views(plan_of(augment="light", no_flip=True), 40))

    def looks_mirrored(view: np.ndarray) -> bool:
        return bool(np.abs(view[:, ::-1] - IMAGE).mean() < np.abs(view - IMAGE).mean())

    assert 5 < sum(map(looks_mirrored, views)) < 35
    assert sum(map(looks_mirrored, unflipped)) == 0


@pytest.fixture
def examples(tmp_path: Path) -> tuple[Example, ...]:
    """Images of flat levels 40, 50, ... on disk: six to train with, two to validate with."""
    drawn = []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (SIZE, SIZE), (40 + 10 * number,) * 3).save(path)
        drawn.append(
            Example(
                path=str(path),
                source=str(path),
                label=number % 2,
                split="train" if number < 6 else "validation",
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )
    return tuple(drawn)


def test_each_epoch_has_every_image_once_in_an_order_of_its_own(examples: tuple[Example, ...]) -> None:
    data = pixels_of(plan_of(examples, batch=4, class_weights="none"), SIZE)

    def levels(epoch: int) -> list[int]:
        return [round(float(image.mean())) for pixels, _ in data.train(epoch) for image in pixels.numpy()]

    assert data.num_images == 6
    assert sorted(levels(0)) == [40, 50, 60, 70, 80, 90]
    assert levels(0) == levels(0) != levels(1)
    ((pixels, labels),) = data.validation
    np.testing.assert_allclose(pixels.numpy().mean((1, 2, 3)), [100, 110], rtol=1e-5)
    assert labels.numpy().tolist() == [0, 1]


def test_images_that_fit_into_memory_make_the_batches_of_their_files(
    examples: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = np.asarray([0.6, 0.6, 0.6, 0.6, 0.6, 3.0], np.float32)
    plan = replace(plan_of(examples, batch=4, class_weights="auto"), image_weights=weights)

    def passes() -> list[np.ndarray]:
        data = pixels_of(plan, SIZE)
        batches = [*data.train(0), *data.train(1), *data.validation, *data.validation]
        return [column.numpy() for columns in batches for column in columns]

    from_memory = passes()
    monkeypatch.setattr(inputs, "fits_in_memory", lambda *_: False)
    for column, expected in zip(from_memory, passes(), strict=True):
        np.testing.assert_array_equal(column, expected)


def test_images_in_memory_are_decoded_once(examples: tuple[Example, ...]) -> None:
    data = pixels_of(plan_of(examples, batch=4), SIZE)
    first, validation = [*data.train(0)], [*data.validation]
    for example in examples:
        Path(example.path).unlink()
    np.testing.assert_array_equal(next(iter(data.train(0)))[0], first[0][0])
    np.testing.assert_array_equal(next(iter(data.validation))[0], validation[0][0])


def test_a_bootstrap_sample_is_the_same_in_every_epoch(examples: tuple[Example, ...]) -> None:
    weights = np.asarray([0, 3, 1, 0, 2, 0], np.float32)
    data = pixels_of(replace(plan_of(examples, batch=4), image_weights=weights), SIZE)
    for epoch in range(3):
        levels = sorted(round(float(image.mean())) for pixels, _ in data.train(epoch) for image in pixels.numpy())
        assert levels == [50, 50, 50, 60, 80, 80]
    assert data.num_images == 6


def test_an_image_is_seen_as_often_as_its_weight_or_once_more(examples: tuple[Example, ...]) -> None:
    weights = np.asarray([0.6, 0.6, 0.6, 0.6, 0.6, 3.0], np.float32)
    plan = replace(plan_of(examples), image_weights=weights)
    counts = np.zeros((400, 6))
    for epoch in range(len(counts)):
        drawn = inputs._drawn_by_weight(plan, epoch)
        counts[epoch] = [drawn.count(example) for example in examples[:6]]
    assert np.all(counts.sum(1) == 6) and np.all(counts >= np.floor(weights)) and np.all(counts <= np.ceil(weights))
    np.testing.assert_allclose(counts.mean(0), weights, atol=0.08)  # three standard errors of 400 draws


def test_labels_are_soft_where_the_policy_mixes_images(examples: tuple[Example, ...], tmp_path: Path) -> None:
    (tmp_path / "mix.toml").write_text("mixup = 1.0\n")
    data = pixels_of(plan_of(examples, augment=str(tmp_path / "mix.toml"), batch=6, class_weights="none"), SIZE)
    ((pixels, labels),) = data.train(0)
    assert labels.shape == (6, 2)
    assert ((labels.numpy() > 0.01) & (labels.numpy() < 0.99)).any()
    assert np.abs(pixels.numpy() - pixels.numpy().round(-1)).max() > 0.1
    assert all(labels.shape == (2,) for _, labels in data.validation)


def test_views_are_fresh_in_each_epoch(examples: tuple[Example, ...]) -> None:
    plan = plan_of(examples[:1], augment="medium", batch=1, class_weights="none")
    data = pixels_of(plan, SIZE)
    first, second = (next(iter(data.train(epoch)))[0].numpy() for epoch in (0, 1))
    assert np.abs(first - second).mean() > 0.5


def test_rare_classes_weigh_more(examples: tuple[Example, ...]) -> None:
    # Three images of class 0 and one of class 1: weights 4 / (2 * 3) and 4 / (2 * 1).
    unequal = tuple(example for example in examples if example.path[-5] not in "13")
    data = pixels_of(plan_of(unequal, batch=9, class_weights="auto"), SIZE)
    ((_, labels, weights),) = data.train(0)
    assert sorted(labels.numpy()) == [0, 0, 0, 1]
    np.testing.assert_allclose(weights, [[2 / 3, 2][label] for label in labels.numpy()], rtol=1e-6)


def test_parts_without_images_are_left_out(examples: tuple[Example, ...]) -> None:
    parts = parts_of(plan_of(examples))
    assert {part: len(images) for part, images in parts.items()} == {"train": 6, "validation": 2}
