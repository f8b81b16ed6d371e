"""Selects some examples or some columns of features that were extracted, joins parts, or averages two of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.arrays import FeatureRows, HalfRows, Indices
from pipelines.features.cached import Features

IN_MEMORY_BYTES = 1 << 30  # features up to this size are held in memory


class FeatureSubset(Features):
    """Some of the examples of other features, in memory where they are small enough: many fits read them."""

    def __init__(self, parent: Features, places: Indices, *, is_kept: bool = True) -> None:
        """Select the examples at `places`; those of a parent that is in memory itself need no copy."""
        self._parent, self._places = parent, places
        self.labels = parent.labels[places]
        self.num_views, self.num_features = parent.num_views, parent.num_features
        self._in_memory: HalfRows | None = None
        if is_kept and len(places) * self.num_views * self.num_features * 2 <= IN_MEMORY_BYTES:
            views = [parent.halves(places, np.full(len(places), view)) for view in range(self.num_views)]
            self._in_memory = np.stack(views, axis=1)

    def __len__(self) -> int:
        return len(self._places)

    def rows(self, places: Indices, views: Indices | None = None) -> FeatureRows:
        """As `Features.rows`."""
        return self.halves(places, views).astype(np.float32)

    def halves(self, places: Indices, views: Indices | None = None) -> HalfRows:
        """As `Features.halves`."""
        if self._in_memory is None:
            return self._parent.halves(self._places[places], views)
        return self._in_memory[places, 0 if views is None else views]

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        self._parent.release()


class JoinedFeatures(Features):
    """The examples of several parts, one part after another; a part with fewer views repeats its last one."""

    def __init__(self, parts: Sequence[Features]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])
        self.labels = np.concatenate([part.labels for part in parts])
        self.num_views, self.num_features = max(part.num_views for part in parts), parts[0].num_features

    def __len__(self) -> int:
        return int(self._starts[-1])

    def halves(self, places: Indices, views: Indices | None = None) -> HalfRows:
        """As `Features.halves`."""
        rows = np.empty((len(places), self.num_features), np.float16)
        part_of = np.searchsorted(self._starts, places, side="right") - 1
        for number, part in enumerate(self._parts):
            is_here = part_of == number
            of_part = None if views is None else np.minimum(views[is_here], part.num_views - 1)
            rows[is_here] = part.halves(places[is_here] - self._starts[number], of_part)
        return rows

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        for part in self._parts:
            part.release()


class FirstFeatures(Features):
    """The first values of each row: those of the last layer, where features are of all levels."""

    def __init__(self, parent: Features, num_features: int) -> None:
        self._parent = parent
        self.labels, self.num_views, self.num_features = parent.labels, parent.num_views, num_features

    def __len__(self) -> int:
        return len(self._parent)

    def halves(self, places: Indices, views: Indices | None = None) -> HalfRows:
        """As `Features.halves`."""
        return self._parent.halves(places, views)[:, : self.num_features]

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        self._parent.release()


class MirroredFeatures(Features):
    """The mean of the features of each view and of its mirror image."""

    def __init__(self, plain: Features, mirrored: Features) -> None:
        self._plain, self._mirrored = plain, mirrored
        self.labels, self.num_views, self.num_features = plain.labels, plain.num_views, plain.num_features

    def __len__(self) -> int:
        return len(self._plain)

    def halves(self, places: Indices, views: Indices | None = None) -> HalfRows:
        """As `Features.halves`."""
        # In float32: a sum of two could pass the greatest number of float16.
        mean = (self._plain.rows(places, views) + self._mirrored.rows(places, views)) / 2
        return mean.astype(np.float16)

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        self._plain.release()
        self._mirrored.release()


def first_features(features: Features, count: int) -> Features:
    """The first values of each row; the same features where that is all of them."""
    return features if features.num_features == count else FirstFeatures(features, count)
