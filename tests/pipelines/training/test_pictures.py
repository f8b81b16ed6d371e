"""The pictures that a training draws into its run, whatever became of the images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from pipelines.images.policies import find_policy
from pipelines.images.view_grid import HEADER, NUM_VIEWS
from pipelines.training.pictures import PREVIEW_SIDE, draw_augmentation
from pipelines.training.plan import switches_of
from tests.pipelines.reporters import Notes
from tests.pipelines.training.prepared import Prepare


def test_a_row_for_an_image_of_each_class(prepared: Prepare) -> None:
    plan, _ = prepared()
    policy = find_policy("strong", switches_of(plan.spec.data))
    draw_augmentation(replace(plan, names=replace(plan.names, policy=policy)))
    with Image.open(plan.folder / "augmentation.png") as picture:
        assert picture.width > (NUM_VIEWS + 1) * PREVIEW_SIDE
        assert HEADER + 3 * PREVIEW_SIDE < picture.height < HEADER + 4 * PREVIEW_SIDE


def test_without_a_policy_nothing_is_drawn(prepared: Prepare) -> None:
    plan, _ = prepared()
    draw_augmentation(replace(plan, names=replace(plan.names, policy=find_policy("none", switches_of(plan.spec.data)))))
    assert not (plan.folder / "augmentation.png").exists()


def test_an_image_that_changed_does_not_fail_the_training(prepared: Prepare) -> None:
    plan, _ = prepared()
    policy = find_policy("light", switches_of(plan.spec.data))
    first = Path(plan.dataset.part("train")[0].path)
    content = first.read_bytes()
    first.write_bytes(b"something else")
    try:
        draw_augmentation(replace(plan, names=replace(plan.names, policy=policy)))
    finally:
        first.write_bytes(content)
    assert not (plan.folder / "augmentation.png").exists()
    assert isinstance(plan.reporter, Notes)
    assert any("augmentation.png is not drawn" in note for note in plan.reporter.lines)
