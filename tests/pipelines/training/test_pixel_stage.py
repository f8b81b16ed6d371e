"""Training on pixels: nothing is cached, and the options of a step come from the spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.fitting.checkpoint import StageProgress
from pipelines.runs.manifest import StageRecord
from pipelines.runs.stages import Recipe, Stage
from pipelines.runs.training_records import EpochRecord
from pipelines.system.progress import Silent, Task
from pipelines.train import train
from pipelines.training.pixel_stage import describe_stage, predict_parts, recipe_of
from tests.pipelines.new_heads import assert_same_backbone, spec_on
from tests.pipelines.training.prepared import Prepare
from tests.specs import train_spec

Draw = Callable[..., Path]


def test_streaming_trains_the_head_alone(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("stream", per_class=12, seed=11)
    manifest = train(spec_on(drawn, data, tmp_path / "run", cache=False, epochs=2))
    assert manifest.features is None
    assert_same_backbone(tmp_path / "run", drawn / "one")


@pytest.mark.parametrize(("best_loss", "validation_loss"), [(0.123456789, 0.12346), (math.inf, None)])
def test_a_stage_without_a_finite_loss_has_none_in_its_record(
    best_loss: float, validation_loss: float | None, prepared: Prepare
) -> None:
    plan, _ = prepared()
    record = EpochRecord(stage="head", epoch=1, loss=1.0, validation_loss=1.0, validation_accuracy=0.5, seconds=1.255)
    progress = StageProgress(epoch=2, best_epoch=1, best_loss=best_loss, history=[record, record])
    stage = Stage(name="layer-wise", unfreeze="block1", epochs=9, learning_rate=0.1)
    described = describe_stage(plan, stage, progress, recipe_of(plan.spec), dropout=0.0)
    assert described == StageRecord(
        name="layer-wise block1",
        unfreeze="block1",
        epochs=2,
        best_epoch=1,
        validation_loss=validation_loss,
        seconds=2.51,
        recipe=described.recipe,
    )


def test_a_part_without_images_has_no_predictions(prepared: Prepare) -> None:
    plan, result = prepared()
    examples = tuple(example for example in plan.dataset.examples if example.split != "test")
    plan = replace(plan, dataset=replace(plan.dataset, examples=examples))
    predictions = predict_parts(plan, result.model, 32)
    assert predictions.keys() == {"validation"}
    np.testing.assert_array_equal(predictions["validation"][0], result.predictions["validation"][0])


def test_the_recipe_of_a_stage_comes_from_the_options() -> None:
    spec = train_spec(
        optimizer="sgd", patience=3, weight_decay=0.1, label_smoothing=0.2, ema=0.9, precision="float16", clip=5.0
    )
    assert recipe_of(spec) == Recipe(
        optimizer="sgd", patience=3, weight_decay=0.1, label_smoothing=0.2, ema=0.9, precision="float16"
    )


def test_scoring_is_shown_while_it_is_waited_for(prepared: Prepare) -> None:
    tasks: list[tuple[str, int | None]] = []

    class Tasks(Silent):
        """Keeps the tasks that are shown."""

        @contextmanager
        def task(self, name: str, total: int | None) -> Iterator[Task]:
            tasks.append((name, total))
            with super().task(name, total) as task:
                yield task

    plan, result = prepared()
    predict_parts(replace(plan, reporter=Tasks()), result.model, 32)
    assert tasks == [("scoring images", 24)]  # four of each of three classes, in each of two parts
