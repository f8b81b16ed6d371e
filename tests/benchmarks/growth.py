"""Time and peak memory of fitting heads as a folder grows from 1,000 to 50,000 images, four views each.

The features are synthetic and lie in a cache on disk, as those of a real training do; every size is
a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (1_000, 5_000, 20_000, 50_000)
NUM_FEATURES, NUM_CLASSES, NUM_VIEWS, EPOCHS = 1280, 10, 4, 3
ROOT = Path(__file__).resolve().parents[2]


def measure() -> list[dict[str, object]]:
    """Seconds an epoch and peak memory for each size, and both against 5,000 images."""
    rows = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.benchmarks.growth", folder, str(size)]
            subprocess.run([*command, "write"], check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
            out = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            rows.append(json.loads(out.stdout.splitlines()[-1]))
    middle = next(row for row in rows if row["images"] == 5_000)
    return [
        {
            **row,
            "time per image against 5,000": row["seconds"] / row["images"] / (middle["seconds"] / middle["images"]),
            "memory against 5,000": row["peak MB"] / middle["peak MB"],
        }
        for row in rows
    ]


def _examples(size: int) -> list[object]:
    from pipelines.runs.examples import Example

    return [
        Example(
            path="",
            label=number % NUM_CLASSES,
            split="train",
            sha256=hashlib.sha256(f"{number}".encode()).hexdigest(),
            source="",
        )
        for number in range(size)
    ]


def _write(folder: Path, size: int) -> None:
    import numpy as np

    from pipelines.features.shards import key, write_shard

    rng, examples = np.random.default_rng(0), _examples(size)
    for view in range(NUM_VIEWS):
        for at in range(0, size, 2048):
            keys = [key(example.sha256, view) for example in examples[at : at + 2048]]  # type: ignore[attr-defined]
            rows = rng.normal(size=(len(keys), NUM_FEATURES)).astype(np.float16)
            write_shard(folder / ("augmented" if view else "clean"), keys, rows)


def _fit(folder: Path, size: int) -> dict[str, object]:
    from models.heads import HEADS, Candidate
    from pipelines.features.cached import Features
    from pipelines.features.shards import ShardStore
    from pipelines.fitting.bank_epochs import HeadSearch
    from pipelines.fitting.heads import fit_heads
    from pipelines.system.progress import Silent

    stores = ShardStore(folder / "clean"), ShardStore(folder / "augmented")
    train = Features(stores, _examples(size), NUM_VIEWS)  # type: ignore[arg-type]
    validation = Features(stores, _examples(500), 1)  # type: ignore[arg-type]
    chosen = tuple(Candidate(l2=10.0**-number, learning_rate=1e-4, dropout=0.0, seed=0) for number in range(8))
    began = time.monotonic()
    search = HeadSearch(
        head=HEADS["linear"], candidates=chosen, num_classes=NUM_CLASSES, optimizer="adam", epochs=EPOCHS, seed=0
    )
    fit_heads(search, train=train, validation=validation, reporter=Silent())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"images": size, "seconds": time.monotonic() - began, "peak MB": peak}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    target, count = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:] == ["write"]:
        _write(target, count)
    else:
        print(json.dumps(_fit(target, count)))
