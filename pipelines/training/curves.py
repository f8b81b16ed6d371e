"""Draws learning curves with the stages marked, and writes events for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.system.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipelines.runs.manifest import StageRecord
    from pipelines.runs.training_records import EpochRecord, HeadTrial

PICTURE, EVENTS = "curves.png", "tensorboard"
# Colours that differ for colour-blind eyes too.
TRAINING, VALIDATION, MARK = "#d55e00", "#0072b2", "#888888"


def draw_curves(history: Sequence[EpochRecord], stages: Sequence[StageRecord], path: Path) -> None:
    """Draw loss and accuracy over all epochs of a training into a PNG file.

    Args:
        history: one record an epoch.
        stages: records of the stages, in order.
        path: of the picture; written atomically.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Not pyplot: no window, no state shared with the caller.
    figure = Figure(figsize=(10, 4), layout=ConstrainedLayoutEngine(rect=(0, 0, 1, 0.94)))
    left, right = figure.subplots(1, 2)
    _lines(left, history, "loss", "validation_loss")
    _lines(right, history, "accuracy", "validation_accuracy")
    left.set_ylabel("log-loss, nats")
    right.set_ylabel("share of images predicted correctly")
    for axes in (left, right):
        _marks(axes, stages)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=120)


def draw_penalties(trials: Sequence[HeadTrial], path: Path, *, out_of_fold: bool) -> None:
    """Draw loss and accuracy of a solved head over its penalty, a line for each set of features, into a PNG file.

    Args:
        trials: each penalty on each set of features, the best first.
        path: of the picture; written atomically.
        out_of_fold: whether folds judged, else the validation part.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    judged = "out of fold" if out_of_fold else "on validation"
    for axes, score, label in zip(
        figure.subplots(1, 2), ("validation_loss", "validation_accuracy"), ("log-loss, nats", "accuracy"), strict=True
    ):
        for features, colour in (("last", TRAINING), ("levels", VALIDATION)):
            line = sorted((trial.l2, getattr(trial, score)) for trial in trials if trial.features == features)
            if line:
                axes.plot(*zip(*line, strict=True), color=colour, marker=".", label=f"features: {features}")
        chosen = trials[0]
        axes.plot(chosen.l2, getattr(chosen, score), "o", color="black", fillstyle="none", label="least loss")
        if any(trial.l2 for trial in trials):
            axes.set_xscale("symlog", linthresh=min(trial.l2 for trial in trials if trial.l2))
        axes.set_xlabel("penalty (l2)")
        axes.set_ylabel(f"{label}, {judged}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=120)


@contextmanager
def watcher(folder: Path, *, tensorboard: bool) -> Iterator[Callable[[EpochRecord], None] | None]:
    """Give a function that writes TensorBoard events from the record of each epoch of a stage; None where unwanted.

    Args:
        folder: of the run; events go into `tensorboard/training` and `tensorboard/validation` there, so that
            TensorBoard draws both in one diagram, each stage under its own name.
        tensorboard: whether they are wanted.
    """
    if not tensorboard:
        yield None
        return
    import tensorflow as tf

    # What `tf.summary.scalar` writes; that function needs TensorBoard to be installed, which only reading does.
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)

    def scalar(name: str, value: float) -> None:
        tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)

    writers = {part: tf.summary.create_file_writer(str(folder / EVENTS / part)) for part in ("training", "validation")}

    def write(record: EpochRecord) -> None:
        measured = record.measured()
        for part, prefix in (("training", ""), ("validation", "validation_")):
            with writers[part].as_default(step=record.epoch):
                for name in ("loss", "accuracy"):
                    if prefix + name in measured:
                        scalar(f"{record.stage}/{name}", float(measured[prefix + name]))
                if part == "training" and record.learning_rate is not None:
                    scalar(f"{record.stage}/learning rate", record.learning_rate)
            writers[part].flush()

    try:
        yield write
    finally:
        for writer in writers.values():
            writer.close()


def _lines(axes: Axes, history: Sequence[EpochRecord], training: str, validation: str) -> None:
    epochs = range(1, len(history) + 1)
    for name, label, colour in ((training, "training", TRAINING), (validation, "validation", VALIDATION)):
        # Not every stage measures every number: the line has a gap there.
        values = [float(record.measured().get(name, "nan")) for record in history]
        if any(value == value for value in values):
            axes.plot(epochs, values, color=colour, label=label, marker="." if len(values) < 40 else "")


def _marks(axes: Axes, stages: Sequence[StageRecord]) -> None:
    """A dashed line where a stage begins, its name beside it, and a dot on the epoch that was kept."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    begin = 0
    stages = [stage for stage in stages if stage.epochs]  # a head that is solved has no epochs
    for number, stage in enumerate(stages):
        length = stage.epochs
        if number:
            axes.axvline(begin + 0.5, color=MARK, linestyle="--", linewidth=1)
        caption = stage.name + (" (not kept)" if stage.kept is False else "")
        name = axes.annotate(
            caption,
            (begin + 0.5, 1.0),
            (4, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=MARK,
        )
        name.set_in_layout(False)  # It has a place in the data; the layout leaves room above it.
        if stage.best_epoch:
            label = "best epoch" if not number else None
            axes.axvline(begin + stage.best_epoch, color=VALIDATION, alpha=0.35, linewidth=1, label=label)
        begin += length
