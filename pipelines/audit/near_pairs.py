"""Finds pairs of images that are nearly the same: candidates by their edges or features, compared closely as crops.

Of each image its nearest ones are compared closely, so that the time of this part grows with the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.arrays import Fingerprints, HalfRows, Indices, Singles
from pipelines.audit.aligned import aligned_likeness
from pipelines.audit.audited_images import AuditedImage
from pipelines.audit.neighbours import nearest
from pipelines.audit.traits import SMALL
from pipelines.images.fingerprint import LENGTH

# (images, SMALL, SMALL), in [0, 255].
GreyLevels: TypeAlias = NDArray[np.uint8]
# Pairs, a row each: two places, the lower first.
Pairs: TypeAlias = NDArray[np.intp]
# Cosines above which two images are compared closely: of their fingerprints, and of features of a network.
CANDIDATE, LIKE_FEATURES = 0.85, 0.85
PARTNERS = 10  # compared closely, of each image: the nearest
# Correlation of smoothed edges, aligned, above which two images are near duplicates. Of 3,781 photographs of clothing
# three pairs that are not are above it; of 150 of them saved again, resized, brightened or cropped by 5 % on a side,
# 98 % are, cropped by 5 % on all sides 96 %.
ALIKE = 0.96
# In data whose images are all alike (digits, one scene), near duplicates are so many times nearer to 1 than an image
# usually is to the one most like it. A quartile, and not the median: half of the images may have near duplicates.
NEARER, USUAL = 5.0, 25
CHECKED = 2048  # pairs that are compared at once


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two images that are nearly the same: their places, the lower first, and how much alike they are."""

    first: int
    second: int
    likeness: float


def find_near_pairs(images: Sequence[AuditedImage], features: HalfRows | None) -> list[NearPair]:
    """The near duplicates among images, in order; identical ones should be left out before.

    Args:
        images: distinct.
        features: (images, features) of a frozen base, which tell more crops; None where there are none.
    """
    if len(images) < 2:
        return []
    fingerprints = np.frombuffer(b"".join(image.fingerprint for image in images), np.uint8).reshape(-1, LENGTH)
    pairs = _candidates(fingerprints, CANDIDATE)
    if features is not None:
        pairs = np.unique(np.concatenate([pairs, _candidates(features, LIKE_FEATURES)]), axis=0)
    small = np.frombuffer(b"".join(map(_small, images)), np.uint8).reshape(-1, SMALL, SMALL)
    likeness = _compare(small, pairs)
    usual = np.zeros(len(images), np.float32)
    for column in pairs.T:
        np.maximum.at(usual, column, likeness)
    least = max(ALIKE, 1 - (1 - float(np.percentile(usual, USUAL))) / NEARER)
    is_near = np.flatnonzero(likeness > least).tolist()
    return [NearPair(int(pairs[place, 0]), int(pairs[place, 1]), float(likeness[place])) for place in is_near]


def _candidates(rows: HalfRows | Fingerprints, cosine: float) -> Pairs:
    """The pairs of each row and its nearest ones, those above a cosine, each once and in order."""
    places, cosines = nearest(rows, PARTNERS)
    row, column = np.nonzero(cosines > cosine)
    pairs: Pairs = np.sort(np.stack([row, places[row, column]], axis=1), axis=1)
    return np.unique(pairs, axis=0)


def _compare(small: GreyLevels, pairs: Pairs) -> Singles:
    """How much alike the images of each pair are (pairs,)."""
    likeness = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), CHECKED):
        first, second = pairs[start : start + CHECKED].T
        likeness[start : start + CHECKED] = aligned_likeness(_levels(small, first), _levels(small, second))
    return likeness


def _levels(small: GreyLevels, places: Indices) -> Singles:
    return small[places].astype(np.float32)


def _small(image: AuditedImage) -> bytes:
    light = image.traits.light
    return light.small if light is not None else bytes(SMALL * SMALL)
