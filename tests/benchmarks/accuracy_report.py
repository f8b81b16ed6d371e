"""Turns the cells of the benchmark of accuracy into a table and a picture of learning curves."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import Doubles
from pipelines.evaluation.intervals import paired_bootstrap
from pipelines.evaluation.metrics import calibration_error
from pipelines.system.files import atomic
from tests.benchmarks.accuracy_cells import Cell, mean_over_draws

# Colours that differ for colour-blind eyes and in print, in the order of the heads.
COLOURS = ("#8a8a8a", "#56b4e9", "#009e73", "#1f3b73", "#d55e00")
RESAMPLES = 500  # of labels that are drawn from a model's own probabilities


def rows_of(cells: Sequence[Cell], heads: Sequence[str], *, reference: str) -> list[dict[str, object]]:
    """A row for each number of pictures and each head, means over the draws.

    Differences are paired: of the same draws, each test picture with itself; intervals are 95 % over test pictures.

    Args:
        cells: of one set of images and one backbone.
        heads: their names, in the order of the rows.
        reference: the head that the others are compared with.
    """
    rows: list[dict[str, object]] = []
    for size in _sizes(cells):
        for head in heads:
            own = _of(cells, size, head)
            if not own:
                continue
            accuracy = mean_over_draws(own, "correct")
            low, high = paired_bootstrap(accuracy, np.zeros(len(accuracy)))
            rows.append(
                {
                    "pictures a class": size or "all",
                    "head": head,
                    "draws": len(own),
                    "accuracy": round(float(accuracy.mean()), 4),
                    "95 %": f"{low:.3f} .. {high:.3f}",
                    "points above the probe": _difference(own, _of(cells, size, reference), "correct", 100),
                    "log-loss": round(float(mean_over_draws(own, "loss").mean()), 4),
                    "calibration error": round(statistics.mean(cell.ece for cell in own), 4),
                    "of a calibrated model": round(statistics.mean(noise_level(cell) for cell in own), 4),
                    "against the better of last and levels": _against_better(cells, size) if head == "auto" else "",
                    "seconds": round(statistics.median(cell.seconds for cell in own), 1),
                }
            )
    return rows


def noise_level(cell: Cell) -> float:
    """The calibration error that 95 % of calibrated models of these confidences stay below on so many pictures.

    A calibrated model is right as often as it says; the error that it shows on finitely many pictures is not 0.
    """
    confidence = np.array(cell.confidence)
    random = np.random.default_rng(0)
    errors = [calibration_error(confidence, random.random(len(confidence)) < confidence) for _ in range(RESAMPLES)]
    return float(np.quantile(errors, 0.95))


def draw_curves(cells: Sequence[Cell], heads: Sequence[str], *, reference: str, path: Path, title: str) -> None:
    """Draw accuracy and log-loss over the number of pictures a class, with intervals over test pictures.

    Args:
        cells: of one set of images and one backbone.
        heads: their names.
        reference: the head that is drawn dashed.
        path: of the PNG file.
        title: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), facecolor="white", layout="constrained")
    figure.suptitle(f"Test pictures of {title}: mean of the draws, intervals of 95 %", fontsize=11)
    sizes = _sizes(cells)
    for axes, field, name in zip(figure.subplots(1, 2), ("correct", "loss"), ("accuracy", "log-loss"), strict=True):
        for place, (head, colour) in enumerate(zip(heads, COLOURS, strict=True)):
            drawn = [(x, own) for x, size in enumerate(sizes) if (own := _of(cells, size, head))]
            if not drawn:
                continue
            xs = np.array([x for x, _ in drawn]) + 0.08 * (place - 2)
            values = [mean_over_draws(own, field) for _, own in drawn]
            means = np.array([value.mean() for value in values])
            bounds = np.array([paired_bootstrap(value, np.zeros(len(value))) for value in values])
            spread = np.abs(bounds.T - means)
            style = "--" if head == reference else "-"
            axes.errorbar(xs, means, yerr=spread, fmt=f"o{style}", color=colour, label=head, ms=3.5, lw=1.4, capsize=2)
        axes.set_xticks(range(len(sizes)), [str(size or "all") for size in sizes])
        axes.set_xlabel("pictures a class")
        axes.set_ylabel(name)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, frameon=False, loc="lower right")
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=110)


def _sizes(cells: Sequence[Cell]) -> list[int]:
    return sorted({cell.size for cell in cells}, key=lambda size: size or np.inf)


def _of(cells: Sequence[Cell], size: int, head: str) -> list[Cell]:
    return sorted((cell for cell in cells if (cell.size, cell.head) == (size, head)), key=lambda cell: cell.seed)


def _paired(cells: Sequence[Cell], others: Sequence[Cell], field: str) -> tuple[Doubles, Doubles]:
    """Means over the draws that both have, (test pictures,) each."""
    seeds = {cell.seed for cell in cells} & {cell.seed for cell in others}
    first, second = ([cell for cell in part if cell.seed in seeds] for part in (cells, others))
    return mean_over_draws(first, field), mean_over_draws(second, field)


def _difference(cells: Sequence[Cell], others: Sequence[Cell], field: str, scale: float) -> str:
    """The paired difference of a score, with its interval; empty where no draw is in both."""
    if not {cell.seed for cell in cells} & {cell.seed for cell in others}:
        return ""
    first, second = _paired(cells, others, field)
    low, high = paired_bootstrap(first, second)
    digits = 1 if scale > 1 else 3
    mean = float((first - second).mean())
    return f"{scale * mean:+.{digits}f} ({scale * low:+.{digits}f} .. {scale * high:+.{digits}f})"


def _against_better(cells: Sequence[Cell], size: int) -> str:
    """How `auto` compares with the better, on test, of the sets that it chose between: points, then nats."""
    sets = [_of(cells, size, head) for head in ("last", "levels")]
    if not all(sets):
        return ""
    auto = _of(cells, size, "auto")
    most_accurate = max(sets, key=lambda own: mean_over_draws(own, "correct").mean())
    least_loss = min(sets, key=lambda own: mean_over_draws(own, "loss").mean())
    return f"{_difference(auto, most_accurate, 'correct', 100)}; {_difference(auto, least_loss, 'loss', 1)} nats"
