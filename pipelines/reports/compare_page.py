"""Draws the page of several runs side by side: scores, classes, confidence, and the images on which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.reports.page import command_line
from pipelines.reports.plots import reliability_plot
from pipelines.reports.template import render
from pipelines.reports.thumbnails import thumbnail
from pipelines.runs.split_file import read_split
from pipelines.system.files import atomic
from pipelines.system.text import counted, one_line

if TYPE_CHECKING:
    from markupsafe import Markup

    from models.arrays import Indices, Probabilities
    from pipelines.evaluation.saved_predictions import SavedPredictions
    from pipelines.reports.compared_run import ComparedRun
    from pipelines.runs.examples import Example
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report

TEMPLATE = "compare.html.jinja"
LISTED_CLASSES = 1000  # of more classes only those with the lowest recall
SHOWN = 24  # images on which runs differ
PLOTS = 8  # runs whose confidence is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRun:
    """A run with its short name and the command that makes it."""

    name: str
    row: ComparedRun
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one run says of an image."""

    name: str
    label: str
    confidence: float
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingImage:
    """An image that some runs get right and others wrong.

    Attributes:
        address: the small picture itself; None where the file is gone or changed.
        path: of the user's file.
        truth: its class.
        answers: one a run.
    """

    address: str | None
    path: str
    truth: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """How far the confidence of a run can be believed."""

    name: str
    ece: float
    svg: Markup


def write_compare_page(
    rows: Sequence[ComparedRun],
    folders: Sequence[str],
    manifests: Sequence[Manifest],
    predictions: Sequence[SavedPredictions | None],
    target: Path,
) -> None:
    """Write the page: one HTML document that asks for nothing from anywhere.

    Args:
        rows: what is compared.
        folders: of the runs, in the same order.
        manifests: of the runs.
        predictions: of the images that are compared; None of a run that has none.
        target: the file.
    """
    names = _short_names(folders)
    reports = [report for manifest in manifests for part, report in manifest.metrics.items() if part == rows[0].part]
    runs = [
        NamedRun(name=name, row=row, command=command_line(manifest))
        for name, row, manifest in zip(names, rows, manifests, strict=True)
    ]
    text = render(
        TEMPLATE,
        {
            "runs": runs,
            "verdicts": _verdicts(runs),
            "basis": f"On {counted(rows[0].images, f'{rows[0].part} image')}, by the predictions that each run keeps.",
            "class_rows": _class_rows(reports),
            "num_classes": len(manifests[0].class_names),
            "plots": _plots(names, reports, predictions),
            "pictures": _differing(names, folders, manifests, predictions),
        },
    )
    with atomic(target, suffix=target.suffix) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _short_names(folders: Sequence[str]) -> list[str]:
    """The last parts of the folders where they are distinct; else the folders as they were typed."""
    short = [one_line(Path(folder).absolute().name) for folder in folders]
    return short if len(set(short)) == len(short) else [one_line(folder) for folder in folders]


def _verdicts(runs: Sequence[NamedRun]) -> list[str]:
    """Which runs are clearly better or worse than the first, in a sentence each; at most one where none is."""
    first, lines = runs[0], []
    if len(runs) == 1:
        return []
    for run in runs[1:]:
        accuracy, loss = run.row.accuracy_difference, run.row.log_loss_difference
        if accuracy is None or loss is None or not (accuracy.is_clear or loss.is_clear):
            continue
        points = 100 * accuracy.value
        said = [f"accuracy {points:+.1f} points"] if accuracy.is_clear else []
        said += [f"log-loss {loss.value:+.3f}"] if loss.is_clear else []
        lines.append(f"{run.name} against {first.name}: {', '.join(said)}, more than chance explains.")
    return lines or [f"No run is clearly better or worse than {first.name}."]


def _class_rows(reports: Sequence[Report]) -> list[tuple[str, list[float | None]]]:
    """Class -> its recall in each run; None where a run does not know the class, or has no images of it."""
    recalls = [{score.name: score.recall for score in report.classes} for report in reports]
    named = [(name, [of_run.get(name) for of_run in recalls]) for name in recalls[0]]
    return sorted(named, key=lambda row: (row[1][0] is None, row[1][0] or 0.0))[:LISTED_CLASSES]


def _plots(
    names: Sequence[str], reports: Sequence[Report], predictions: Sequence[SavedPredictions | None]
) -> list[Plot]:
    from markupsafe import Markup

    return [
        # Drawn here from numbers alone: no name of the user's is in it.
        Plot(name=name, ece=report.ece, svg=Markup(reliability_plot(saved.probabilities, saved.labels)))
        for name, report, saved in list(zip(names, reports, predictions, strict=True))[:PLOTS]
        if saved is not None
    ]


def _differing(
    names: Sequence[str],
    folders: Sequence[str],
    manifests: Sequence[Manifest],
    predictions: Sequence[SavedPredictions | None],
) -> list[DifferingImage]:
    """The images that some runs get right and others wrong, the greatest difference first.

    Those runs are compared that predicted the same classes as the first; the images are those that all of them know.
    """
    first_names = manifests[0].class_names
    same = [
        (name, manifest.class_names, saved)
        for name, manifest, saved in zip(names, manifests, predictions, strict=True)
        if saved is not None and sorted(manifest.class_names) == sorted(first_names)
    ]
    if len(same) < 2:
        return []
    places = [{sha256: place for place, sha256 in enumerate(saved.sha256)} for _, _, saved in same]
    common = sorted(set.intersection(*map(set, places)))
    if not common:
        return []
    # (runs, images, classes), the classes in the order of the first run.
    probabilities = np.stack(
        [
            saved.probabilities[[place[sha256] for sha256 in common]][:, [classes.index(name) for name in first_names]]
            for (_, classes, saved), place in zip(same, places, strict=True)
        ]
    )
    _, first_classes, first_saved = same[0]
    labels = np.array(
        [first_names.index(first_classes[first_saved.labels[places[0][sha256]]]) for sha256 in common], np.intp
    )
    examples = {example.sha256: example for example in read_split(folders[0], first_names)}
    chosen = [(place, examples.get(common[place].decode())) for place in _most_different(probabilities, labels)]
    return [
        _image(example, first_names, int(labels[place]), [one[0] for one in same], probabilities[:, place])
        for place, example in chosen
        if example is not None
    ]


def _most_different(probabilities: Probabilities, labels: Indices) -> list[int]:
    """Places of the images that some get right and others wrong, by how far their probabilities of the truth differ."""
    is_right = probabilities.argmax(2) == labels
    of_truth = probabilities[:, np.arange(len(labels)), labels]
    spread = np.where(is_right.any(0) & ~is_right.all(0), np.ptp(of_truth, axis=0), -1.0)
    order = np.argsort(-spread, kind="stable")
    return [int(place) for place in order[:SHOWN] if spread[place] >= 0]


def _image(
    example: Example, class_names: Sequence[str], truth: int, names: Sequence[str], probabilities: Probabilities
) -> DifferingImage:
    answers = tuple(
        Answer(
            name=name, label=class_names[row.argmax()], confidence=float(row.max()), is_right=int(row.argmax()) == truth
        )
        for name, row in zip(names, probabilities, strict=True)
    )
    return DifferingImage(
        address=thumbnail(example), path=one_line(example.path), truth=class_names[truth], answers=answers
    )
