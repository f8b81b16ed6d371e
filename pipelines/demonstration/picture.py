"""Draws `demo.png`: what the base learned, all that is known of the new task, and what the head start was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pipelines.demonstration.letters import GREEK, GREEK_IMAGES, LATIN, LATIN_IMAGES, list_letters
from pipelines.runs.report import Comparison, Interval
from pipelines.system.files import atomic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

# As in `ensemble.png`: colours that differ for colour-blind eyes and in print.
INK, TRANSFER, SCRATCH, WRONG = "#333333", "#1f6fb2", "#8a8a8a", "#d55e00"
# (height, width, 3) in [0, 255].
RgbImage: TypeAlias = "NDArray[np.uint8]"
GAP = 2  # white pixels between two images


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one of the two networks did on the test images.

    Attributes:
        name: for people.
        accuracy: in [0, 1].
        interval: of the accuracy, 95 %.
        answers: the class that it predicts for the first test image of each letter, in the order of `GREEK`.
    """

    name: str
    accuracy: float
    interval: Interval
    answers: tuple[str, ...]


def first_test_images() -> tuple[str, ...]:
    """The first test image of each Greek letter, relative to the folder of images."""
    first: dict[str, str] = {}
    for letter in list_letters():
        if letter.path.startswith("greek/test/"):
            first.setdefault(letter.character, letter.path)
    return tuple(first.values())


def draw_demo(images: Path, scratch: Outcome, transfer: Outcome, difference: Comparison, path: Path) -> None:
    """Draw the demo's picture.

    Args:
        images: the folder of the demo's images.
        scratch: the network that was trained from scratch.
        transfer: the head on the frozen base.
        difference: of their accuracies, the transfer first.
        path: of the PNG file; written atomically.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.6), facecolor="white", layout="constrained")
    figure.suptitle("What a head start is worth", fontsize=17, color=INK, fontweight="bold")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.12, 1), wspace=0.04)[0]
    top, bottom = left.subplots(2, 1, height_ratios=(4, 10))
    rows = [[f"latin/{name}/{number:02}.png" for name in tuple(LATIN)[start : start + 13]]
            for start in (0, 13) for number in (0, 1)]  # fmt: skip
    _mosaic(top, images, rows)
    top.set_title(f"the base learned {len(LATIN)} letters, {LATIN_IMAGES} images of each", fontsize=11, color=INK)

    known = GREEK_IMAGES["train"] + GREEK_IMAGES["validation"]
    parts = ["train"] * GREEK_IMAGES["train"] + ["validation"] * GREEK_IMAGES["validation"]
    rows = [[f"greek/{part}/{name}/{number:02}.png" for name in GREEK] for number, part in enumerate(parts)]
    _mosaic(bottom, images, rows)
    bottom.set_title(f"the new task: {len(GREEK)} other letters, and these {known} images of each are all there is",
                     fontsize=11, color=INK)  # fmt: skip

    above, below = right.subfigures(2, 1, height_ratios=(1.25, 1))
    _draw_accuracies(above.subplots(), scratch, transfer, difference)
    _draw_answers(below, images, scratch, transfer)
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=120)


def _draw_accuracies(axes: Axes, scratch: Outcome, transfer: Outcome, difference: Comparison) -> None:
    """Draw both accuracies with their intervals, and the level of chance."""
    for place, (outcome, colour) in enumerate(((scratch, SCRATCH), (transfer, TRANSFER))):
        axes.barh(place, outcome.accuracy, height=0.5, color=colour)
        axes.plot(outcome.interval, (place, place), color=INK, linewidth=2)
        low, high = outcome.interval
        label = f"{outcome.accuracy:.3f}  ({low:.3f} .. {high:.3f})"
        axes.text(0, place + 0.33, f"{outcome.name}:  {label}", va="bottom", fontsize=11, color=INK)
    chance = 1 / len(GREEK)
    axes.axvline(chance, 0, 0.1, color=INK, linewidth=1)
    axes.text(chance, -0.36, " chance", fontsize=9, color=INK, va="top")
    value, low, high = (100 * number for number in (difference.value, *difference.interval))
    axes.set_title(f"{value:+.1f} points of accuracy on {difference.images} test images\n"
                   f"(95 % interval {low:+.1f} .. {high:+.1f}, paired)", fontsize=12, color=INK)  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, 1.75)
    axes.set_yticks([])
    axes.set_xlabel("test accuracy, with 95 % intervals", fontsize=9, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)


def _draw_answers(figure: SubFigure, images: Path, scratch: Outcome, transfer: Outcome) -> None:
    """Draw the first test image of each letter, and what both networks take it for."""
    figure.suptitle("the first test image of each letter, and what both take it for", fontsize=11, color=INK)
    every_axes = figure.subplots(2, len(GREEK) // 2).flat
    for axes, file, truth, before, after in zip(
        every_axes, first_test_images(), GREEK, scratch.answers, transfer.answers, strict=True
    ):
        _show(axes, [[_pixels(images / file)]])
        for place, answer in ((-0.08, after), (-0.3, before)):
            is_right = answer == truth
            label = f"{'✓' if is_right else '✗'} {GREEK[answer]} {answer}"
            colour = WRONG if not is_right else TRANSFER
            axes.text(0.5, place, label, transform=axes.transAxes, ha="center", va="top", fontsize=8.5, color=colour)
    figure.supxlabel("upper line: head start; lower line: from scratch", fontsize=9, color=INK)


def _mosaic(axes: Axes, images: Path, rows: Sequence[Sequence[str]]) -> None:
    """Draw images side by side, row by row."""
    _show(axes, [[_pixels(images / file) for file in row] for row in rows])


def _show(axes: Axes, rows: Sequence[Sequence[RgbImage]]) -> None:
    import numpy as np

    def framed(image: RgbImage) -> RgbImage:
        return np.pad(image, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=255)

    axes.imshow(np.vstack([np.hstack([framed(image) for image in row]) for row in rows]), interpolation="nearest")
    axes.axis("off")


def _pixels(file: Path) -> RgbImage:
    import numpy as np
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
