"""Turns a run's held-out predictions and cached features into findings: wrong labels and outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Doubles, HalfRows, Indices, Labels, Probabilities
from pipelines.audit.audited_images import AuditedImage
from pipelines.audit.findings import Finding
from pipelines.audit.neighbours import nearest
from pipelines.audit.wrong_labels import class_shares, doubt_labels

NEIGHBOURS = 10
LEAST_IMAGES = 20  # of fewer no quartile is worth a threshold
# Interquartile ranges above the third quartile (Tukey's inner fence): 27 of 3,781 photographs are beyond it. Beyond the
# outer one, at 3, none is, and none of eight drawings planted among them.
FENCE = 1.5
LARGEST_SHARE = 0.01  # of the images: more outliers are a class of their own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What a run knows of the images of a data set.

    Attributes:
        folder: of the run.
        class_names: of the run.
        label_of: class of the data -> its place among those of the run.
        prediction_of: content hash -> probabilities (classes,) of a model that was not fitted to the image.
        features: (images, features) of the distinct images, in their order; None where they have none.
        remarks: what is missing, for people.
    """

    folder: str
    class_names: tuple[str, ...]
    label_of: tuple[int, ...]
    prediction_of: Mapping[str, Probabilities]
    features: HalfRows | None
    remarks: tuple[str, ...] = ()


def find_by_run(images: Sequence[AuditedImage], names: Sequence[str], evidence: Evidence) -> list[Finding]:
    """The labels that are probably wrong, and the images unlike all others.

    Args:
        images: distinct.
        names: classes of the data, indexed by the images' labels.
        evidence: of a run.
    """
    labels = np.asarray([evidence.label_of[image.file.label] for image in images], np.int32)
    findings: list[Finding] = []
    neighbours = cosines = None
    if evidence.features is not None and len(images) > 1:
        neighbours, cosines = nearest(evidence.features, NEIGHBOURS)
        findings += _outliers(images, names, neighbours, cosines)
    judged = np.asarray(
        [place for place, image in enumerate(images) if image.sha256 in evidence.prediction_of], np.intp
    )
    if len(judged):
        findings += _wrong_labels(images, names, labels, judged, neighbours, evidence)
    return findings


def _wrong_labels(
    images: Sequence[AuditedImage],
    names: Sequence[str],
    labels: Labels,
    judged: Indices,
    neighbours: Indices | None,
    evidence: Evidence,
) -> list[Finding]:
    probabilities = np.stack([evidence.prediction_of[images[place].sha256] for place in judged])
    shares = None if neighbours is None else class_shares(neighbours, labels, len(evidence.class_names))[judged]
    doubts = doubt_labels(probabilities, labels[judged], shares)
    findings = []
    for row in np.flatnonzero(doubts.is_wrong).tolist():
        place, label, other = int(judged[row]), int(labels[judged[row]]), int(doubts.proposed[row])
        detail = (
            f"{evidence.class_names[other]} {probabilities[row, other]:.2f}, "
            f"{evidence.class_names[label]} {probabilities[row, label]:.2f}"
        )
        near = ""
        if neighbours is not None and shares is not None:
            alike = [int(neighbour) for neighbour in neighbours[place] if labels[neighbour] == other]
            near = images[alike[0]].file.path if alike else ""
            detail += f"; {round(shares[row, other] * neighbours.shape[1])} of {neighbours.shape[1]} neighbours"
        findings.append(
            Finding(
                kind="wrong-label",
                path=images[place].file.path,
                label=names[images[place].file.label],
                detail=detail,
                compared_with=near,
                proposed=evidence.class_names[other],
                rank=float(doubts.doubt[row]),
            )
        )
    return findings


def _outliers(
    images: Sequence[AuditedImage], names: Sequence[str], neighbours: Indices, cosines: Doubles
) -> list[Finding]:
    """Images whose nearest neighbours are far: beyond Tukey's inner fence, at most `LARGEST_SHARE` of all."""
    if len(images) < LEAST_IMAGES:
        return []
    distance = 1 - cosines.mean(1)
    first, third = np.percentile(distance, (25, 75))
    order = np.argsort(-distance, kind="stable")[: max(1, int(LARGEST_SHARE * len(images)))]
    return [
        Finding(
            kind="outlier",
            path=images[place].file.path,
            label=names[images[place].file.label],
            detail=f"cosine distance {distance[place]:.2f} to its nearest, {np.median(distance):.2f} is usual",
            compared_with=images[int(neighbours[place, 0])].file.path,
            rank=float(distance[place]),
        )
        for place in order.tolist()
        if distance[place] > third + FENCE * (third - first)
    ]
