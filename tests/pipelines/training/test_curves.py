"""Learning curves: drawn with the stages marked, and as events that TensorBoard reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from pipelines.runs.manifest import StageRecord
from pipelines.runs.training_records import EpochRecord, HeadTrial
from pipelines.training.curves import MARK, Caption, draw_curves, draw_penalties
from pipelines.training.tensorboard_events import EVENTS, watcher

CAPTION = Caption(title="net, linear head", num_judged=100)


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
    draw_curves(history(), stages, tmp_path / "two.png", CAPTION)
    draw_curves(history()[:6], stages[:1], tmp_path / "one.png", CAPTION)
    two, one = (np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("two.png", "one.png"))
    assert two.shape == one.shape == (552, 1200, 3)
    grey = np.array([int(MARK[at : at + 2], 16) for at in (1, 3, 5)])
    # A dashed vertical line where the second stage begins: one column in each diagram with much of its grey.
    dashed = [int((abs(picture.astype(int) - grey) < 40).all(-1).sum(0).max()) for picture in (one, two)]
    assert dashed[1] > 100 > dashed[0]
    assert not list(tmp_path.glob(".*")), "no temporary file is left"


def test_a_training_of_one_epoch_without_accuracy_can_be_drawn(tmp_path: Path) -> None:
    record = EpochRecord(stage="head", epoch=1, loss=1.0, validation_loss=1.0, validation_accuracy=0.5)
    draw_curves([record], [stage("head", epochs=1, best_epoch=1)], tmp_path / "curves.png", CAPTION)
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved; they are not rendered."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: figures.append(figure))
    return figures


def lines(axes: Axes) -> dict[str, list[list[float]]]:
    """The heights of the curves of each label, a curve for each stage; marks have no label or two points."""
    found: dict[str, list[list[float]]] = {}
    for line in axes.lines:
        found.setdefault(str(line.get_label()), []).append([float(value) for value in np.asarray(line.get_ydata())])
    return found


def test_noise_fills_no_picture_and_its_size_is_shaded(tmp_path: Path, drawn: list[Figure]) -> None:
    epochs = [
        EpochRecord(stage="head", epoch=n, loss=0.2, accuracy=0.97, validation_loss=0.3, validation_accuracy=accuracy)
        for n, accuracy in ((1, 0.94), (2, 0.95), (3, 0.93))
    ]
    draw_curves(epochs, [stage("head", epochs=3, best_epoch=2)], tmp_path / "curves.png", CAPTION)
    left, right = drawn[0].axes
    assert left.get_ylim()[0] == 0.0
    low, high = right.get_ylim()
    assert low <= 0.5 and 1.0 <= high < 1.05
    # Wilson's interval of 95 in 100 at 95 %, worked by hand: (0.8882, 0.9785).
    (band,) = right.patches
    assert isinstance(band, Rectangle)
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.8882, 0.9785), abs=1e-3)
    assert drawn[0].get_suptitle() == CAPTION.title and right.get_ylabel() == "accuracy"
    assert lines(right)["training"] == [[0.97] * 3]
    words = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert any("kept: least validation loss" in word for word in words) and any("100 images" in word for word in words)


def test_stages_are_lines_of_their_own(tmp_path: Path, drawn: list[Figure]) -> None:
    stages = [stage("head", epochs=6, best_epoch=6), stage("fine-tune", epochs=8, best_epoch=4, kept=True)]
    draw_curves(history(), stages, tmp_path / "curves.png", CAPTION)
    left, right = drawn[0].axes
    assert [len(curve) for curve in lines(left)["validation"]] == [6, 8]
    assert [len(curve) for curve in lines(right)["training"]] == [8]  # this head stage has no training accuracy


def test_a_solved_head_has_its_training_scores_beside_those_that_chose(tmp_path: Path, drawn: list[Figure]) -> None:
    trials = [
        HeadTrial(
            number=number,
            l2=l2,
            learning_rate=None,
            dropout=0.0,
            seed=0,
            best_epoch=None,
            validation_loss=loss,
            validation_accuracy=0.8,
            training_loss=loss / 2,
            training_accuracy=0.9,
        )
        for number, (l2, loss) in enumerate([(0.1, 0.5), (1.0, 0.6), (0.01, 0.7)])
    ]
    draw_penalties(trials, tmp_path / "curves.png", Caption(title="net", judged="out of fold", num_judged=50))
    left, right = drawn[0].axes
    assert left.get_xscale() == "log"
    drawn_lines = lines(left)
    assert drawn_lines["out of fold"] == [[0.7, 0.5, 0.6]] and drawn_lines["training"] == [[0.35, 0.25, 0.3]]
    assert drawn_lines["kept: penalty 0.1, the least loss"] == [[0.5]]
    assert right.get_ylim()[0] <= 0.5
    # A penalty of 0 has a place too; records of earlier versions have no training scores.
    older = [replace(trial, training_loss=None, training_accuracy=None) for trial in trials]
    draw_penalties([replace(older[0], l2=0.0), *older[1:]], tmp_path / "curves.png", CAPTION)
    assert drawn[1].axes[0].get_xscale() == "symlog" and "training" not in lines(drawn[1].axes[0])


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
