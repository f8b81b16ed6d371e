"""Draws what a classifier gets right and wrong as PNG files, for slides and notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.intervals import of_share
from pipelines.reports.chosen_images import choose_images
from pipelines.reports.judged_run import MATRIX_CLASSES
from pipelines.reports.thumbnails import shrink
from pipelines.reports.verdict import percent
from pipelines.runs.layout import CLASSES_FILE, CONFUSION_FILE, MISTAKES_FILE
from pipelines.system.files import atomic
from pipelines.system.text import counted, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from models.arrays import Labels, Probabilities
    from pipelines.runs.examples import Example
    from pipelines.runs.report import Report

LISTED_CLASSES = 40  # of more classes those with the lowest recall
COLUMNS = 6  # mistakes beside each other
CELL, PICTURE_SIDE = (1.8, 2.3), 1.65  # inches, of each and its picture
NAME_LENGTH = 24
INK, SOFT, MARK, WRONG = "#1c2126", "#5b6570", "#0072b2", "#b84a00"  # differ for colour-blind eyes and in print


def draw_pictures(
    folder: Path, report: Report, predictions: tuple[Probabilities, Labels], examples: Sequence[Example | None]
) -> tuple[Path, ...]:
    """Draw `confusion.png`, `classes.png` and, where there are any, `mistakes.png`.

    Args:
        folder: for the pictures.
        report: scores of the predictions.
        predictions: probabilities (images, classes) and true classes (images,).
        examples: of the images, in the same order; None of one that is not known any more.

    Returns:
        The paths of what was drawn.
    """
    probabilities, labels = predictions
    drawn = {CONFUSION_FILE: _draw_confusion(report), CLASSES_FILE: _draw_classes(report)}
    mistakes = choose_images(probabilities, labels).mistakes
    if len(mistakes):
        names = [_short(name) for name in report.class_names]
        captions = [
            f"{names[int(probabilities[place].argmax())]} {percent(probabilities[place].max())}\n"
            f"is {names[int(labels[place])]}"
            for place in mistakes
        ]
        drawn[MISTAKES_FILE] = _draw_mistakes([examples[place] for place in mistakes], captions, report)
    for name, figure in drawn.items():
        with atomic(folder / name, suffix=".png") as temporary, warnings.catch_warnings():
            # The font has not every script; a name in another is a row of boxes, and the page has it as text.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure.savefig(temporary, dpi=110)
    return tuple(folder / name for name in drawn)


def _draw_confusion(report: Report) -> Figure:
    if report.confusion_matrix is None or len(report.classes) > MATRIX_CLASSES:
        return _draw_pairs(report)
    counts = np.asarray(report.confusion_matrix)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(3.2, 0.42 * len(counts))
    figure, axes = _figure(side + 2.2, side + 1.6)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_short(name) for name in report.class_names]
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=90, parse_math=False)
    for true, predicted in np.argwhere(counts):
        ink = "white" if shares[true, predicted] > 0.6 else INK
        axes.text(predicted, true, f"{counts[true, predicted]:,}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_ylabel("what the image is", color=SOFT)
    axes.set_xlabel("what was answered", color=SOFT)
    axes.set_title(_title(report), fontsize=10)
    axes.spines[:].set_visible(False)
    return figure


def _draw_pairs(report: Report) -> Figure:
    """The most frequent confusions, as bars."""
    pairs = report.confused
    figure, axes = _figure(8.0, 1.5 + 0.3 * max(len(pairs), 1))
    places = range(len(pairs))
    axes.barh(places, [pair.count for pair in pairs], color=WRONG)
    names = [f"{_short(pair.label)} taken for {_short(pair.predicted)}" for pair in pairs]
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("images", color=SOFT)
    axes.set_title(f"{_title(report)}: most frequent confusions" if pairs else f"{_title(report)}, no confusion")
    return figure


def _draw_classes(report: Report) -> Figure:
    """Recall of each class with its interval, the lowest on top."""
    judged = [(score.recall, score) for score in report.classes if score.recall is not None]
    rows = sorted(judged, key=lambda row: row[0])[:LISTED_CLASSES]
    figure, axes = _figure(7.5, 1.3 + 0.27 * len(rows))
    for place, (recall, score) in enumerate(rows):
        axes.plot(of_share(recall, score.support), (place, place), color=MARK, linewidth=2)
        axes.plot([recall], [place], "o", color=MARK, markersize=5)
    names = [f"{_short(score.name)} ({score.support:,})" for _, score in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.set_xlabel("recall, with its 95 % interval; in brackets: images", color=SOFT)
    fewer = f"; the lowest {len(rows)} of {len(judged):,} classes" if len(rows) < len(judged) else ""
    axes.set_title(f"{_title(report)}{fewer}", fontsize=10)
    return figure


def _draw_mistakes(examples: Sequence[Example | None], captions: Sequence[str], report: Report) -> Figure:
    from matplotlib.figure import Figure

    num_rows = -(-len(examples) // COLUMNS)
    width, height = CELL[0] * COLUMNS, CELL[1] * num_rows + 0.5
    figure = Figure(figsize=(width, height))
    # One pair of axes in inches: one for each picture would take longer than all the rest.
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    axes.text(width / 2, height - 0.25, f"{_title(report)}: its worst mistakes", ha="center", va="center", fontsize=11)
    for place, (example, caption) in enumerate(zip(examples, captions, strict=True)):
        row, column = divmod(place, COLUMNS)
        centre, top = CELL[0] * (column + 0.5), height - 0.5 - CELL[1] * row
        write = partial(axes.text, ha="center", va="center", fontsize=8, parse_math=False)
        write(centre, top - 0.25, caption, color=WRONG)
        image = shrink(example) if example is not None else None
        if image is None:
            write(centre, top - CELL[1] / 2, "gone or changed", color=SOFT)
            continue
        scale = PICTURE_SIDE / max(image.size)
        half, low = image.width * scale / 2, top - 0.5 - image.height * scale
        axes.imshow(np.asarray(image), extent=(centre - half, centre + half, low, top - 0.5), aspect="auto")
    axes.set(xlim=(0, width), ylim=(0, height))
    return figure


def _title(report: Report) -> str:
    return f"{percent(report.accuracy)} of {counted(report.images, 'image')} are predicted correctly"


def _short(name: str) -> str:
    plain = one_line(name)
    return plain if len(plain) <= NAME_LENGTH else f"{plain[: NAME_LENGTH - 2]}.."


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(colors=INK, length=0)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color("#d0d0d0")
    return figure, axes
