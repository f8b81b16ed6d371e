"""Learning curves: drawn with the stages marked, and as events that TensorBoard reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines.runs.manifest import StageRecord
from pipelines.runs.training_records import EpochRecord
from pipelines.training.curves import EVENTS, MARK, draw_curves, watcher


def history() -> list[EpochRecord]:
    head = [
        EpochRecord(stage="head", epoch=n, loss=2 / n, validation_loss=2.2 / n, validation_accuracy=1 - 0.6 / n)
        for n in range(1, 7)
    ]
    tuned = [
        EpochRecord(
            stage="fine-tune",
            epoch=n,
            loss=0.3 / n,
            accuracy=1 - 0.1 / n,
            validation_loss=0.3 / n + 0.02 * n,
            validation_accuracy=0.95,
            learning_rate=1e-4,
        )
        for n in range(1, 9)
    ]
    return head + tuned


def stage(name: str, *, epochs: int, best_epoch: int, kept: bool | None = None) -> StageRecord:
    return StageRecord(
        name=name, unfreeze="none", epochs=epochs, best_epoch=best_epoch, validation_loss=0.5, seconds=1.0, kept=kept
    )


def test_both_stages_and_both_curves_are_in_the_picture(tmp_path: Path) -> None:
    stages = [stage("head", epochs=6, best_epoch=6), stage("fine-tune", epochs=8, best_epoch=4, kept=True)]
    draw_curves(history(), stages, tmp_path / "two.png")
    draw_curves(history()[:6], stages[:1], tmp_path / "one.png")
    two, one = (np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("two.png", "one.png"))
    assert two.shape == one.shape == (480, 1200, 3)
    grey = np.array([int(MARK[at : at + 2], 16) for at in (1, 3, 5)])
    # A dashed vertical line where the second stage begins: one column in each diagram with much of its grey.
    dashed = [int((abs(picture.astype(int) - grey) < 40).all(-1).sum(0).max()) for picture in (one, two)]
    assert dashed[1] > 100 > dashed[0]
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_a_training_of_one_epoch_without_accuracy_can_be_drawn(tmp_path: Path) -> None:
    record = EpochRecord(stage="head", epoch=1, loss=1.0, validation_loss=1.0, validation_accuracy=0.5)
    draw_curves([record], [stage("head", epochs=1, best_epoch=1)], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_events_hold_every_number_under_its_stage(tmp_path: Path) -> None:
    with watcher(tmp_path, tensorboard=True) as watch:
        assert watch is not None
        for record in history()[6:9]:
            watch(record)
    scalars: dict[str, list[tuple[str, int, float]]] = {}
    for part in ("training", "validation"):
        (file,) = (tmp_path / EVENTS / part).glob("events.*")
        for raw in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(raw)
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                number = float(tf.make_ndarray(value.tensor))
                scalars.setdefault(part, []).append((value.tag, event.step, round(number, 4)))
    assert ("fine-tune/loss", 3, 0.1) in scalars["training"]
    assert ("fine-tune/learning rate", 1, 0.0001) in scalars["training"]
    assert ("fine-tune/accuracy", 2, 0.95) in scalars["validation"]
    assert len(scalars["training"]) == 9 and len(scalars["validation"]) == 6


def test_nothing_is_written_unasked(tmp_path: Path) -> None:
    with watcher(tmp_path, tensorboard=False) as watch:
        assert watch is None
    assert not list(tmp_path.iterdir())
