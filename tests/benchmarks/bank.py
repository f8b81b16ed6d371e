"""Measures the cost of many heads: 1, 8 and 64 heads on the same synthetic features, interleaved."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from pathlib import Path

import numpy as np

from models.heads import HEADS, Candidate
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.fitting.bank_epochs import HeadSearch
from pipelines.fitting.heads import fit_heads
from pipelines.runs.examples import Example
from pipelines.system.progress import Silent

NUM_IMAGES, NUM_FEATURES, NUM_CLASSES, EPOCHS, ROUNDS = 3000, 1280, 10, 10, 5


def measure() -> list[dict[str, object]]:
    """Seconds of ten epochs for each number of heads, and the ratio to one head."""
    with tempfile.TemporaryDirectory() as name:
        train, validation = _features(Path(name) / "train", NUM_IMAGES), _features(Path(name) / "validation", 300)
        seconds: dict[int, list[float]] = {1: [], 8: [], 64: []}
        _fit(1, train, validation)  # the first pays for tracing and threads
        for _ in range(ROUNDS):
            for count, measured in seconds.items():
                measured.append(_fit(count, train, validation))
    return [
        {
            "heads": count,
            "seconds": statistics.median(measured),
            "times one head": statistics.median(many / one for many, one in zip(measured, seconds[1], strict=True)),
        }
        for count, measured in seconds.items()
    ]


def _features(folder: Path, count: int) -> Features:
    rng = np.random.default_rng(count)
    labels = rng.integers(NUM_CLASSES, size=count)
    examples = [
        Example(
            path="", label=int(label), split="train", sha256=hashlib.sha256(f"{number}".encode()).hexdigest(), source=""
        )
        for number, label in enumerate(labels)
    ]
    centres = np.random.default_rng(0).normal(size=(NUM_CLASSES, NUM_FEATURES))
    store = ShardStore(folder)
    rows = centres[labels] + 6 * rng.normal(size=(count, NUM_FEATURES))
    store.add([key(example.sha256, 0) for example in examples], rows.astype(np.float16))
    return Features((store, store), examples, 1)


def _fit(count: int, train: Features, validation: Features) -> float:
    candidates = tuple(
        Candidate(l2=10.0 ** -(number % 8), learning_rate=1e-4, dropout=0.0, seed=number) for number in range(count)
    )
    search = HeadSearch(
        head=HEADS["linear"], candidates=candidates, num_classes=NUM_CLASSES, optimizer="adam", epochs=EPOCHS, seed=0
    )
    fitted = fit_heads(search, train=train, validation=validation, reporter=Silent())
    assert len(fitted.history) == EPOCHS
    return fitted.seconds
