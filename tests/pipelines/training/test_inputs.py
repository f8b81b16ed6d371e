"""What a training shows of its images: the views that are cached, and the pixels of each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches
from pipelines.runs.examples import Dataset
from pipelines.system.progress import Silent
from pipelines.training.backbone import BackboneSource
from pipelines.training.inputs import augmenter_of, views_of
from pipelines.training.plan import TrainingNames, TrainingPlan
from tests.specs import train_spec

SIZE = 16
IMAGE = np.random.default_rng(5).uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)


def plan_of(**options: Any) -> TrainingPlan:
    spec = train_spec(**options)
    switches = Switches(no_flip=spec.data.no_flip, rotate90=spec.data.rotate90, no_color=spec.data.no_color)
    source = BackboneSource(name="small_cnn", backbone=BACKBONES["small_cnn"], weights="none")
    names = TrainingNames(head=HEADS["linear"], source=source, policy=find_policy(spec.data.augment, switches))
    dataset = Dataset(root="", origin="folders", class_names=("a", "b"), examples=())
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
    plain, switched = views_of(plan_of(augment=policy)), views_of(plan_of(augment=policy, **{switch: True}))
    has_no_colour_step = policy == "light" and switch == "no_color"
    assert (plain.policy_digest == switched.policy_digest) == has_no_colour_step


def test_no_flip_never_mirrors() -> None:
    mirrored = plan_of(augment="light")
    views = np.stack(cached_views(mirrored, 40))
    kept = np.stack(cached_views(plan_of(augment="light", no_flip=True), 40))

    def looks_mirrored(view: np.ndarray) -> bool:
        return bool(np.abs(view[:, ::-1] - IMAGE).mean() < np.abs(view - IMAGE).mean())

    assert 5 < sum(map(looks_mirrored, views)) < 35
    assert sum(map(looks_mirrored, kept)) == 0
