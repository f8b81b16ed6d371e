"""Runs as their page needs them, made by hand: no model, but images, predictions and a manifest."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.evaluation.metrics import report
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.runs.examples import Example, Split
from pipelines.runs.layout import MODEL_FILE, SPLIT_COLUMNS, SPLIT_FILE
from pipelines.runs.manifest import DataRecord, Manifest
from pipelines.runs.read_manifest import write_manifest
from pipelines.runs.report import Report
from tests.pipelines.manifests import manifest_with

CLASSES = ("cat", "dog")


def scores(*, right: int, wrong: int) -> Report:
    """Scores of a model on as many cats as dogs (or one cat more), so many of which it takes for what they are."""
    labels = (np.arange(right + wrong) % 2).astype(np.int32)
    answers = np.where(np.arange(right + wrong) < right, labels, 1 - labels)
    return report(np.where(answers[:, None] == [0, 1], 0.9, 0.1), labels, CLASSES)


def made_manifest(metrics: Mapping[Split, Report], **fields: Any) -> Manifest:  # fields of Manifest
    """A manifest with these scores."""
    return manifest_with(metrics=dict(metrics), **fields)


def make_run(
    folder: Path,
    class_names: Sequence[str],
    *,
    per_class: int = 4,
    classes_tested: int | None = None,
    photos: Path | None = None,
    all_right: bool = False,
) -> Path:
    """Write a run whose answers are wrong for the first image of each class, and return its folder.

    Args:
        folder: for the run and its images.
        class_names: of its classes.
        per_class: test images of each.
        classes_tested: how many of the classes have any; None for all.
        photos: of another run, whose images this one is of as well; None for images of its own.
        all_right: whether all its answers are right instead.
    """
    run, photos = folder / "run", photos or folder / "photos"
    run.mkdir(parents=True)
    photos.mkdir(exist_ok=True)
    examples, labels = [], []
    for label in range(len(class_names) if classes_tested is None else classes_tested):
        for number in range(per_class):
            path = photos / f"{label}-{number}.png"
            Image.new("RGB", (40, 30), (label % 256, label // 256, number)).save(path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            examples.append(Example(path=str(path), label=label, split="test", sha256=sha256, source=str(path)))
            labels.append(label)
    is_wrong = [place % per_class == 0 and not all_right for place in range(len(labels))]
    answers = [(label + wrong) % len(class_names) for label, wrong in zip(labels, is_wrong, strict=True)]
    probabilities = np.full((len(labels), len(class_names)), 0.1 / max(len(class_names) - 1, 1), np.float32)
    probabilities[np.arange(len(labels)), answers] = 0.9
    truth = np.asarray(labels, np.int32)
    save_predictions(run, {"test": (probabilities, truth)}, {"test": examples})
    with open(run / SPLIT_FILE, "w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(SPLIT_COLUMNS)
        rows.writerows((one.path, class_names[one.label], one.split, one.sha256) for one in examples)
    (run / MODEL_FILE).touch()
    counts: dict[Split, dict[str, int]] = {
        "test": {class_names[label]: labels.count(label) for label in sorted(set(labels))}
    }
    manifest = made_manifest(
        {"test": report(probabilities, truth, tuple(class_names))},
        class_names=tuple(class_names),
        data=DataRecord(root=str(photos), origin="folders", images=counts, skipped=0),
    )
    write_manifest(run, manifest)
    return run
