"""Finds identical images and near duplicates: within a class, in two classes, in two parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.audit.audited_images import AuditedData, AuditedImage
from pipelines.audit.findings import Finding
from pipelines.audit.near_pairs import NearPair
from pipelines.data.look_alikes import connect
from pipelines.runs.examples import SPLITS


def distinct_places(data: AuditedData) -> list[int]:
    """The place of the first image of each content, in order."""
    first: dict[str, int] = {}
    for place, image in enumerate(data.images):
        first.setdefault(image.sha256, place)
    return sorted(first.values())


def find_copies(data: AuditedData) -> list[Finding]:
    """The findings about identical images.

    Args:
        data: read before.
    """
    copies_of: dict[str, list[AuditedImage]] = defaultdict(list)
    for image in data.images:
        copies_of[image.sha256].append(image)
    findings = []
    for copies in copies_of.values():
        if len(copies) > 1:
            findings += [_identical(image, copies, data.class_names) for image in copies]
    return [finding for finding in findings if finding is not None]


def _identical(image: AuditedImage, copies: Sequence[AuditedImage], names: Sequence[str]) -> Finding | None:
    """The worst that is wrong with one of several copies; None for the one that may stay."""
    label = image.file.label
    if other := next((copy for copy in copies if copy.file.label != label), None):
        return _finding("two-labels", image, other, names, f"also in class {names[other.file.label]}")
    if later := next((copy for copy in copies if _trains_before(image, copy)), None):
        return _finding("leak", image, later, names, f"in {image.file.split}, and in {later.file.split}")
    # `photo.jpg` stays, `photo copy.jpg` is the copy.
    same_part = [copy for copy in copies if copy.file.split == image.file.split]
    first = min(same_part, key=lambda copy: (len(copy.file.path), copy.file.path))
    return None if first is image else _finding("duplicate", image, first, names, "identical")


def find_near_copies(data: AuditedData, places: Sequence[int], pairs: Sequence[NearPair]) -> list[Finding]:
    """The findings about near duplicates: every pair in two classes or parts; in one class, every image but the first.

    Args:
        data: read before.
        places: of the distinct images among all.
        pairs: of places among those.
    """
    names = data.class_names
    findings = []
    has_partner: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: -pair.likeness):
        first, second = (data.images[places[place]] for place in (pair.first, pair.second))
        detail, kind = f"edges correlate by {pair.likeness:.3f}", "near-duplicate"
        if _trains_before(second, first):
            first, second = second, first
        if first.file.label != second.file.label:
            kind, detail = "near-two-labels", f"also in class {names[second.file.label]}; {detail}"
        elif _trains_before(first, second):
            kind, detail = "near-leak", f"in {first.file.split}, and in {second.file.split}; {detail}"
        elif pair.second in has_partner:
            continue
        else:
            has_partner.add(pair.second)
            first, second = second, first
        findings.append(_finding(kind, first, second, names, detail, rank=pair.likeness))
    return findings


def near_groups(data: AuditedData, places: Sequence[int], pairs: Sequence[NearPair]) -> Mapping[str, str]:
    """Path -> a name for its group, of every image that has a near duplicate or an identical copy.

    Args:
        data: read before.
        places: of the distinct images among all.
        pairs: of places among those.
    """
    joined = np.asarray([(pair.first, pair.second) for pair in pairs], np.intp).reshape(-1, 2)
    group_of_content = {
        data.images[place].sha256: group
        for place, group in zip(places, connect(len(places), *joined.T).tolist(), strict=True)
    }
    members: dict[int, list[AuditedImage]] = defaultdict(list)
    for image in data.images:
        members[group_of_content[image.sha256]].append(image)
    return {
        image.file.path: f"like-{min(one.sha256 for one in images)[:12]}"
        for images in members.values()
        if len(images) > 1
        for image in images
    }


def _trains_before(image: AuditedImage, other: AuditedImage) -> bool:
    """Whether both are in given parts, and the first is in one nearer to the training."""
    split, other_split = image.file.split, other.file.split
    if split is None or other_split is None:
        return False
    return SPLITS.index(split) < SPLITS.index(other_split)


def _finding(
    kind: str, image: AuditedImage, other: AuditedImage, names: Sequence[str], detail: str, *, rank: float = 1.0
) -> Finding:
    return Finding(
        kind=kind,
        path=image.file.path,
        label=names[image.file.label],
        detail=detail,
        compared_with=other.file.path,
        rank=rank,
    )
