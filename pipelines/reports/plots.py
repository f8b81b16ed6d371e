"""Draws the plots of the page of a run as SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from pipelines.evaluation.intervals import wilson
from pipelines.evaluation.metrics import bins_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from models.arrays import Labels, Probabilities

# Stand for colours of the page, which differ in light and dark; no other colour is one of these.
_INK, _MARK = "#010203", "#010204"
_OF_PAGE = {_INK: "currentColor", _MARK: "var(--good)"}


def reliability_plot(probabilities: Probabilities, labels: Labels) -> str:
    """How often an answer is right, by how sure the model is: a point for each bin of the calibration error.

    Args:
        probabilities: (images, classes).
        labels: (images,) true classes.

    Returns:
        An SVG element.
    """
    confidence, is_correct = probabilities.max(1), probabilities.argmax(1) == labels
    bins = bins_of(confidence)
    figure, axes = _axes(width=5.2, height=4.2)
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.5, linewidth=1, linestyle="--")
    for number in np.unique(bins):
        of_bin = bins == number
        share, count = float(is_correct[of_bin].mean()), int(of_bin.sum())
        low, high = wilson(int(is_correct[of_bin].sum()), count)
        place = float(confidence[of_bin].mean())
        axes.plot([place, place], [low, high], color=_MARK, alpha=0.55, linewidth=1.5)
        axes.plot([place], [share], "o", color=_MARK, markersize=4 + 8 * (count / len(labels)) ** 0.5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="how sure the answer is", ylabel="share of answers that are right")
    return _as_svg(figure, "reliability")


def selection_plot(probabilities: Probabilities, labels: Labels) -> str:
    """Accuracy of the surest answers, by the share of the images that is answered at all.

    Args:
        probabilities: (images, classes).
        labels: (images,) true classes.

    Returns:
        An SVG element.
    """
    order = np.argsort(-probabilities.max(1), kind="stable")
    is_correct = (probabilities.argmax(1) == labels)[order]
    answered = np.arange(1, len(labels) + 1)
    figure, axes = _axes(width=5.2, height=4.2)
    axes.plot(answered / len(labels), np.cumsum(is_correct) / answered, color=_MARK, linewidth=2)
    # The first few answers are right or wrong by chance: the axis shows what all of them leave.
    lowest = min(float(is_correct.mean()), float((np.cumsum(is_correct) / answered)[len(labels) // 10 :].min()))
    axes.set(xlim=(0, 1), ylim=(max(0.0, lowest - 0.05), 1.01))
    axes.set(xlabel="share of images that is answered, the surest first", ylabel="accuracy of these answers")
    return _as_svg(figure, "selection")


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("none")
    axes.grid(color=_INK, alpha=0.12)
    axes.tick_params(colors=_INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _as_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element, its text as text, without a date or an address."""
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", '<svg aria-hidden="true" ', 1)
    for colour, of_page in _OF_PAGE.items():
        text = text.replace(colour, of_page)
    return text
