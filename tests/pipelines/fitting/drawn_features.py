"""Features of drawn classes, in a cache of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import FeatureRows
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example

NUM_CLASSES, NUM_FEATURES = 4, 40


def draw_features(folder: Path, count: int, seed: int, views: int = 1, noise: float = 3.0) -> Features:
    """Overlapping classes in a few of many features, at scales that differ by a thousand."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM_CLASSES, size=count)
    centres = np.random.default_rng(99).normal(size=(NUM_CLASSES, NUM_FEATURES)) * (np.arange(NUM_FEATURES) < 12)
    scales = np.logspace(-1.5, 1.5, NUM_FEATURES)
    rows = [(centres[labels] + noise * rng.normal(size=(count, NUM_FEATURES)) + 2) * scales for _ in range(views)]
    return store_features(folder / str(seed), labels, *rows)


def store_features(folder: Path, labels: Any, *views: Any) -> Features:
    """Features (images, features) of each view, in a cache of their own."""
    examples = [
        Example(
            path=str(number),
            label=int(label),
            split="train",
            sha256=hashlib.sha256(f"{number}".encode()).hexdigest(),
            source="",
        )
        for number, label in enumerate(labels)
    ]
    stores = ShardStore(folder / "clean"), ShardStore(folder / "augmented")
    for view, rows in enumerate(views):
        stores[view > 0].add([key(example.sha256, view) for example in examples], np.asarray(rows, np.float16))
    return Features(stores, examples, len(views))


def rows_of(part: Features) -> FeatureRows:
    """(images, features) of the clean views."""
    return np.concatenate([rows for _, rows in part.pieces()])
