"""Gathers what the page of a run shows, and renders it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.evaluation.intervals import of_share
from pipelines.reports.chosen_images import choose_images
from pipelines.reports.judged_run import MATRIX_CLASSES, JudgedRun
from pipelines.reports.plots import reliability_plot, selection_plot
from pipelines.reports.template import render
from pipelines.reports.thumbnails import as_address, thumbnail
from pipelines.runs.command_line import command_of
from pipelines.runs.examples import SPLITS, Example
from pipelines.runs.layout import AUGMENTATION_FILE
from pipelines.system.files import atomic
from pipelines.system.text import one_line

if TYPE_CHECKING:
    from models.arrays import Indices
    from pipelines.evaluation.saved_predictions import SavedPredictions
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report

LISTED_CLASSES = 1000  # of more classes only those with the lowest recall
TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image with what the model says of it.

    Attributes:
        address: the small picture itself; None where the file is gone or changed.
        path: of the user's file.
        truth: its class.
        answer: the most probable class.
        confidence: its probability.
        of_truth: the probability of the true class.
    """

    address: str | None
    path: str
    truth: str
    answer: str
    confidence: float
    of_truth: float

    @property
    def is_right(self) -> bool:
        """Whether the answer is the true class."""
        return self.truth == self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """The scores of one class: shares in [0, 1], None where there is nothing to judge by."""

    name: str
    images: int
    recall: float | None
    interval: tuple[float, float] | None
    precision: float | None
    f1: float | None


def write_page(run: JudgedRun, target: Path, *, name: str) -> None:
    """Write the page of a run: one HTML document that asks for nothing from anywhere.

    Args:
        run: to show.
        target: the file.
        name: of the run, as its page calls it.
    """
    page = _render(run, name=name)
    with atomic(target, suffix=target.suffix) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _render(run: JudgedRun, *, name: str) -> str:
    from markupsafe import Markup

    manifest, report, predictions = run.manifest, run.report, run.predictions
    values: dict[str, object] = {
        "name": one_line(name),
        "verdict": run.verdict,
        "report": report,
        "manifest": manifest,
        "cards": _cards(report),
        "parts": [part for part in SPLITS if part in manifest.data.images],
        "class_counts": _class_counts(manifest),
        "class_rows": _class_rows(report),
        "num_classes": len(manifest.class_names),
        "matrix": _matrix(report),
        "stages": manifest.stages,
        "curves": _curves(run.folder, manifest),
        "augmentation": _picture(run.folder / AUGMENTATION_FILE),
        "command": command_line(manifest),
        "samples": _samples(run.examples, manifest.class_names),
        "pictures": {},
        "plots": {},
    }
    if predictions is not None:
        values["pictures"] = _pictures(predictions, run.judged_examples(), manifest.class_names)
        plots = {"reliability": reliability_plot, "selection": selection_plot}
        # Drawn here from numbers alone: no name of the user's is in them.
        values["plots"] = {
            title: Markup(draw(predictions.probabilities, predictions.labels)) for title, draw in plots.items()
        }
    return render(TEMPLATE, values)


def _cards(report: Report) -> list[tuple[str, str, str, str]]:
    """The main scores: name, value, its interval, and what it is."""

    def between(interval: tuple[float, float], as_text: str) -> str:
        return " to ".join(as_text.format(bound) for bound in interval)

    return [
        ("accuracy", f"{report.accuracy:.3f}", between(report.accuracy_interval, "{:.3f}"), "share that is right"),
        ("macro F1", f"{report.macro_f1:.3f}", between(report.macro_f1_interval, "{:.3f}"), "every class counts alike"),
        ("log-loss", f"{report.log_loss:.3f}", between(report.log_loss_interval, "{:.3f}"), "nats, less is better"),
        ("calibration error", f"{report.ece:.3f}", "", "mean gap between confidence and accuracy"),
    ]


def _class_counts(manifest: Manifest) -> list[tuple[str, list[int]]]:
    """Each class with its number of images in each part."""
    parts = [manifest.data.images[part] for part in SPLITS if part in manifest.data.images]
    return [(name, [part.get(name, 0) for part in parts]) for name in manifest.class_names[:LISTED_CLASSES]]


def _class_rows(report: Report) -> list[ClassRow]:
    """The classes, the lowest recall first, those without images last."""
    rows = [
        ClassRow(
            name=score.name,
            images=score.support,
            recall=score.recall,
            interval=None if score.recall is None else of_share(score.recall, score.support),
            precision=score.precision,
            f1=score.f1,
        )
        for score in report.classes
    ]
    return sorted(rows, key=lambda row: (row.recall is None, row.recall))[:LISTED_CLASSES]


def _matrix(report: Report) -> list[tuple[str, list[tuple[int, float]]]] | None:
    """True class -> (images, their share of the class) for each predicted class; None for too many classes."""
    if report.confusion_matrix is None or len(report.classes) > MATRIX_CLASSES:
        return None
    return [
        (name, [(count, count / max(sum(row), 1)) for count in row])
        for name, row in zip(report.class_names, report.confusion_matrix, strict=True)
    ]


def _curves(folder: Path, manifest: Manifest) -> str | None:
    """The run's own picture of its training, or of its members."""
    return _picture(folder / ("ensemble.png" if manifest.members else "curves.png"))


def _picture(path: Path) -> str | None:
    return as_address(path.read_bytes(), "image/png") if path.is_file() else None


def command_line(manifest: Manifest) -> str:
    """The command that makes the run, quoted for a shell; empty where the request is not known."""
    return shlex.join(one_line(word) for word in command_of(manifest.spec))


def _samples(examples: Sequence[Example], class_names: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """One training image of each of the first classes."""
    first: dict[int, Example] = {}
    for example in examples:
        if example.split == "train":
            first.setdefault(example.label, example)
    return [(class_names[label], thumbnail(first[label])) for label in sorted(first)[:12]]


def _pictures(
    predictions: SavedPredictions, examples: Sequence[Example | None], class_names: tuple[str, ...]
) -> dict[str, list[Picture]]:
    """Title -> the images under it."""
    chosen = choose_images(predictions.probabilities, predictions.labels)

    def pictures(places: Indices) -> list[Picture]:
        return [picture for place in places if (picture := picture_at(int(place))) is not None]

    def picture_at(place: int) -> Picture | None:
        example = examples[place]
        if example is None:
            return None
        row = predictions.probabilities[place]
        return Picture(
            address=thumbnail(example),
            path=one_line(example.path),
            truth=class_names[int(predictions.labels[place])],
            answer=class_names[int(row.argmax())],
            confidence=float(row.max()),
            of_truth=float(row[int(predictions.labels[place])]),
        )

    groups = {"mistakes": pictures(chosen.mistakes), "unsure": pictures(chosen.unsure)}
    groups["typical"] = [picture for places in chosen.typical.values() for picture in pictures(places)]
    return groups
