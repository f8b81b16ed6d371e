"""What a run knows becomes findings: labels against predictions and neighbours, images far from all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.arrays import HalfRows
from pipelines.audit.audited_images import AuditedImage
from pipelines.audit.evidence import Evidence, find_by_run
from pipelines.audit.traits import Traits
from pipelines.data.listing import ListedFile

# The run has another order of classes than the data, and one class more.
RUN_CLASSES, DATA_CLASSES, LABEL_OF = ("zebra", "cat", "dog"), ("cat", "dog"), (1, 2)
TRAITS = Traits(num_bytes=1, width=1, height=1, encoding="", quantisation=(0, 0), camera="", orientation=1, light=None)


def made(count: int) -> list[AuditedImage]:
    """As many cats as dogs, cats first."""
    return [
        AuditedImage(
            file=ListedFile(path=f"/{number}.jpg", label=int(number >= count // 2), split=None),
            sha256=f"{number:064x}",
            source="",
            fingerprint=bytes(256),
            traits=TRAITS,
        )
        for number in range(count)
    ]


def evidence(images: list[AuditedImage], *, wrong: set[int], features: HalfRows | None) -> Evidence:
    """Predictions that are sure of the given class, or of the other one."""
    predictions = {}
    for number, image in enumerate(images):
        row = np.full(3, 0.05, np.float32)
        row[LABEL_OF[image.file.label ^ (number in wrong)]] = 0.9
        predictions[image.sha256] = row
    return Evidence(
        folder="run",
        class_names=RUN_CLASSES,
        label_of=LABEL_OF,
        prediction_of=predictions,
        features=features,
    )


def two_clouds(count: int) -> HalfRows:
    """Features of two classes, each around its own direction."""
    rows = np.random.default_rng(0).normal(0, 0.1, (count, 8))
    rows[: count // 2, 0] += 1
    rows[count // 2 :, 1] += 1
    return rows.astype(np.float16)


@pytest.mark.parametrize("has_features", [False, True])
def test_a_label_against_the_predictions_is_named_with_what_it_rather_is(has_features: bool) -> None:
    images = made(40)
    features = two_clouds(40) if has_features else None
    if features is not None:
        features[3] = features[30] + np.float16(0.01)
    (finding,) = (
        finding
        for finding in find_by_run(images, DATA_CLASSES, evidence(images, wrong={3}, features=features))
        if finding.kind == "wrong-label"
    )
    assert (finding.path, finding.label, finding.proposed) == ("/3.jpg", "cat", "dog")
    assert finding.detail.startswith("dog 0.90, cat 0.05")
    assert ("10 of 10 neighbours" in finding.detail) is has_features
    assert finding.compared_with == ("/30.jpg" if has_features else "")


def test_an_image_without_a_prediction_is_not_judged() -> None:
    images = made(40)
    known = evidence(images, wrong={3}, features=None)
    predictions = {sha256: row for sha256, row in known.prediction_of.items() if sha256 != images[3].sha256}
    known = Evidence(folder="run", class_names=RUN_CLASSES, label_of=LABEL_OF, prediction_of=predictions, features=None)
    assert find_by_run(images, DATA_CLASSES, known) == []
    known = Evidence(folder="run", class_names=RUN_CLASSES, label_of=LABEL_OF, prediction_of={}, features=None)
    assert find_by_run(images, DATA_CLASSES, known) == []


def test_an_image_far_from_all_is_an_outlier_and_few_are() -> None:
    images = made(200)
    features = two_clouds(200)
    features[17] = np.float16(0)
    features[17, 7] = 1
    outliers = [
        finding
        for finding in find_by_run(images, DATA_CLASSES, evidence(images, wrong=set(), features=features))
        if finding.kind == "outlier"
    ]
    assert outliers[0].path == "/17.jpg" and len(outliers) <= 2
    assert Path(outliers[0].compared_with).suffix == ".jpg"


def test_a_handful_of_images_has_no_outlier() -> None:
    images = made(6)
    features = np.eye(6, 8, dtype=np.float16)
    assert find_by_run(images, DATA_CLASSES, evidence(images, wrong=set(), features=features)) == []
