"""Reads the features of images as standardised rows, in memory where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np

from models.arrays import FeatureRows, Indices, Labels, Singles, Weights
from pipelines.features.cached import Features

IN_MEMORY_BYTES = 2 * 10**9  # rows up to this size are kept; larger ones are read from the cache again in every pass
PIECE = 4096  # rows that are read at once


class StandardisedRows:
    """Features of several parts, one row a view: the clean view of each image, in order, then the augmented ones.

    Attributes:
        num_features: how many of the first features of a view are in a row.
        num_images: how many images; the first rows are their clean views.
        image_of: (rows,) number of the image of each row, counted through the parts.
        labels: (rows,) class indices.
        mean: (num_features,) of the clean views, which is subtracted.
        scale: (num_features,) divides the rest.
    """

    def __init__(self, parts: Sequence[Features]) -> None:
        """Standardise by the mean and deviation of the clean views.

        Args:
            parts: of the images that a head is fitted to or chosen on; never test images.
        """
        self.num_images = sum(map(len, parts))
        self.mean, self.scale = measure_moments(parts)
        self.num_features = len(self.mean)
        self._parts = parts
        starts = np.cumsum([0, *map(len, parts)])
        # The clean views of all parts first.
        self._order = [
            (number, view)
            for view in range(max(part.num_views for part in parts))
            for number, part in enumerate(parts)
            if view < part.num_views
        ]
        images = [np.arange(len(parts[number])) + starts[number] for number, _ in self._order]
        self.image_of: Indices = np.concatenate(images).astype(np.intp)
        self.labels: Labels = np.concatenate([part.labels for part in parts])[self.image_of]
        self._kept: FeatureRows | None = None
        if 4 * len(self.labels) * self.num_features <= IN_MEMORY_BYTES:
            kept = np.empty((len(self.labels), self.num_features), np.float32)
            for places, rows in self._read(PIECE):
                kept[places] = rows
            self._kept = kept

    def first(self, num_features: int) -> StandardisedRows:
        """The same rows, with the first features of each alone."""
        rows = copy(self)
        rows.num_features = num_features
        rows.mean, rows.scale = self.mean[:num_features], self.scale[:num_features]
        rows._kept = None if self._kept is None else self._kept[:, :num_features]
        return rows

    def spread(self, weights: Weights) -> Weights:
        """Weights (..., images) as weights (..., rows): all views of an image together weigh as much as the image."""
        views = np.bincount(self.image_of, minlength=self.num_images)
        return (weights / views)[..., self.image_of].astype(np.float32)

    def blocks(self, size: int) -> Iterator[tuple[slice, FeatureRows]]:
        """Places and rows (at most `size`, num_features), in order; all rows once."""
        if self._kept is None:
            yield from self._read(min(size, PIECE))
            return
        for start in range(0, len(self.labels), size):
            places = slice(start, min(start + size, len(self.labels)))
            yield places, self._kept[places]

    def clean_blocks(self, size: int) -> Iterator[tuple[slice, FeatureRows]]:
        """The same of the clean views alone."""
        for places, rows in self.blocks(size):
            if places.start >= self.num_images:
                return
            num_clean = min(places.stop, self.num_images) - places.start
            yield slice(places.start, places.start + num_clean), rows[:num_clean]

    def _read(self, size: int) -> Iterator[tuple[slice, FeatureRows]]:
        first = 0
        for number, view in self._order:
            part = self._parts[number]
            for start in range(0, len(part), size):
                places = np.arange(start, min(start + size, len(part)))
                rows = part.rows(places, np.full(len(places), view))[:, : self.num_features]
                yield slice(first + start, first + start + len(places)), (rows - self.mean) / self.scale
                part.release()
            first += len(part)


def measure_moments(parts: Sequence[Features]) -> tuple[Singles, Singles]:
    """Mean and standard deviation (features,) of the clean views of all parts, in one pass."""
    count = sum(map(len, parts))
    total, squares = np.zeros(parts[0].num_features), np.zeros(parts[0].num_features)
    for part in parts:
        for _, rows in part.pieces():
            total += rows.sum(0, dtype=np.float64)
            squares += np.square(rows, dtype=np.float64).sum(0)
    mean = total / count
    scale = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    # A constant feature carries no information: divided by its zero spread, rounding errors would grow without bound.
    scale[scale < 1e-6 * max(scale.max(), 1e-12)] = 1.0
    return mean.astype(np.float32), scale.astype(np.float32)
