"""The record in run.json of the features that a training used (no NumPy)."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.runs.ranges import NonNegativeFloat, NonNegativeInt


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRecord:
    """Where the features of a training came from.

    Attributes:
        images: how many.
        views: of each training image.
        cached: views that were in the feature cache; mirror images count as views.
        new: views that were computed.
        seconds: for computing them.
        damaged_shards: of the cache that were computed again.
        mirror: whether features are averaged over each view and its mirror image.
    """

    images: NonNegativeInt
    views: NonNegativeInt
    cached: NonNegativeInt
    new: NonNegativeInt
    seconds: NonNegativeFloat
    damaged_shards: NonNegativeInt
    mirror: bool = False
