"""Draws `curves.png`: training beside validation, over the epochs of all stages or the penalties of a solved head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pipelines.system.files import atomic

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from pipelines.runs.manifest import StageRecord
    from pipelines.runs.training_records import EpochRecord, HeadTrial

# Draws the training score and the validation score of these names; gives the finite values that it drew.
Draw: TypeAlias = "Callable[[Axes, tuple[str, str]], list[float]]"
PICTURE = "curves.png"
# Colours that differ for colour-blind eyes too.
TRAINING, VALIDATION, MARK = "#d55e00", "#0072b2", "#888888"
LEVELS = "#009e73"
# Share of the accuracy axis that is always shown: noise does not fill the picture.
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a picture says of its training.

    Attributes:
        title: over the picture.
        judged: what judged the epochs or penalties, such as `validation` or `out of fold`.
        num_judged: how many images that were.
    """

    title: str
    judged: str = "validation"
    num_judged: int = 0


def draw_curves(history: Sequence[EpochRecord], stages: Sequence[StageRecord], path: Path, caption: Caption) -> None:
    """Draw loss and accuracy over all epochs of a training into a PNG file.

    Args:
        history: one record an epoch.
        stages: records of the stages, in order.
        path: of the picture; written atomically.
        caption: what it says.
    """

    def draw(axes: Axes, names: tuple[str, str]) -> list[float]:
        drawn: list[float] = []
        for name, label, colour in zip(names, ("training", caption.judged), (TRAINING, VALIDATION), strict=True):
            # A line for each stage; not every one measures every number.
            for _, stage in groupby(enumerate(history, 1), lambda place: place[1].stage):
                points = [(epoch, float(record.measured().get(name, "nan"))) for epoch, record in stage]
                finite = [value for _, value in points if isfinite(value)]
                if finite:
                    marker = "." if len(history) < 40 else ""
                    axes.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker)
                drawn += finite
        _mark_stages(axes, stages)
        axes.set_xlabel("epoch")
        return drawn

    _draw(path, caption, draw, _kept_accuracy(history, stages))


def draw_penalties(trials: Sequence[HeadTrial], path: Path, caption: Caption) -> None:
    """Draw loss and accuracy of a solved head over its penalty, for each set of features, into a PNG file.

    Args:
        trials: each penalty on each set of features, the best first.
        path: of the picture; written atomically.
        caption: what it says.
    """
    best = trials[0]
    several = len({trial.features for trial in trials}) > 1

    def draw(axes: Axes, names: tuple[str, str]) -> list[float]:
        drawn: list[float] = []
        for features, colour in (("last", VALIDATION), ("levels", LEVELS)):
            of_features = sorted((trial for trial in trials if trial.features == features), key=lambda trial: trial.l2)
            suffix = f", features: {features}" if several else ""
            for name, label, style in ((names[1], caption.judged, "-"), (names[0], "training", "--")):
                points = [(trial.l2, value) for trial in of_features if (value := _score(trial, name)) is not None]
                if points:
                    axes.plot(*zip(*points, strict=True), style, color=colour, marker=".", label=label + suffix)
                drawn += [value for _, value in points]
        if (value := _score(best, names[1])) is not None:
            kept = f"kept: penalty {best.l2:g}, the least loss"
            axes.plot(best.l2, value, "o", color="black", fillstyle="none", markersize=9, label=kept)
        _scale_penalties(axes, trials)
        return drawn

    _draw(path, caption, draw, best.validation_accuracy)


def _draw(path: Path, caption: Caption, draw: Draw, kept_accuracy: float | None) -> None:
    """Draw log-loss to the left and accuracy to the right, under a title and over one legend."""
    from matplotlib.figure import Figure

    # Not pyplot: no window, no state shared with the caller.
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(caption.title.replace("$", r"\$"), fontsize=11)
    losses = draw(left, ("loss", "validation_loss"))
    left.set_ylabel("log-loss, nats")
    left.set_ylim(0, 1.05 * max([*losses, 0.1]))
    accuracies = draw(right, ("accuracy", "validation_accuracy"))
    right.set_ylabel("accuracy")
    right.set_ylim(min([_HALF, *(int(10 * value) / 10 for value in accuracies)]), 1.01)
    if kept_accuracy is not None and caption.num_judged:
        _shade_chance(right, kept_accuracy, caption)
    labelled: dict[str, Artist] = {}
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        labelled |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(labelled.values()), list(labelled), loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=120)


def _mark_stages(axes: Axes, stages: Sequence[StageRecord]) -> None:
    """A dashed line where a stage begins, its name beside it, and a dotted one at the epoch that was kept."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(" ", fontsize=9)
    begin = 0
    stages = [stage for stage in stages if stage.epochs]  # a head that is solved has no epochs
    for number, stage in enumerate(stages):
        if number:
            axes.axvline(begin + 0.5, color=MARK, linestyle="--", linewidth=1)
        name = axes.annotate(
            stage.name + (" (not kept)" if stage.kept is False else ""),
            (begin + 0.5, 1.0),
            (4, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=MARK,
            fontsize=9,
        )
        name.set_in_layout(False)  # It has a place in the data; the title leaves room above it.
        if stage.best_epoch:
            place = begin + stage.best_epoch
            label = "weights of this epoch are kept: least validation loss" if not number else None
            axes.axvline(place, color=VALIDATION, alpha=0.6, linestyle=":", label=label)
        begin += stage.epochs


def _scale_penalties(axes: Axes, trials: Sequence[HeadTrial]) -> None:
    """Powers of ten along the axis, and a penalty of 0 to the left of the least."""
    from matplotlib.ticker import LogFormatterSciNotation

    positive = [trial.l2 for trial in trials if trial.l2]
    axes.set_xlabel("penalty (l2); a smaller one fits the training images more closely")
    if not positive:
        return
    if len(positive) < len(trials):
        axes.set_xscale("symlog", linthresh=min(positive))
    else:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(LogFormatterSciNotation())


def _shade_chance(axes: Axes, accuracy: float, caption: Caption) -> None:
    """Shade what chance explains: the 95 % interval of the kept accuracy on so many images."""
    from pipelines.evaluation.intervals import of_share

    low, high = of_share(accuracy, caption.num_judged)
    label = f"95 % interval of the accuracy kept, on {caption.num_judged:,} images"
    axes.axhspan(low, high, color=VALIDATION, alpha=0.1, linewidth=0, label=label)


def _kept_accuracy(history: Sequence[EpochRecord], stages: Sequence[StageRecord]) -> float | None:
    """The validation accuracy of the epoch that was kept, in the last stage that was; None where there is none."""
    begin, kept = 0, None
    for stage in stages:
        place = begin + stage.best_epoch - 1
        if stage.best_epoch and stage.kept is not False and place < len(history):
            kept = history[place].validation_accuracy
        begin += stage.epochs
    return kept


def _score(trial: HeadTrial, name: str) -> float | None:
    """A score of a trial by the name that it has in an epoch's record."""
    scores = {
        "loss": trial.training_loss,
        "accuracy": trial.training_accuracy,
        "validation_loss": trial.validation_loss,
        "validation_accuracy": trial.validation_accuracy,
    }
    return scores[name]
