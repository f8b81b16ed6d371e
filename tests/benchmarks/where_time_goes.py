"""Where the time of a training on a cold cache goes: reading and decoding, augmenting, the base, the heads.

Each part runs alone and in turn; `decode and base together` is how features are computed: the next batch is decoded
while the base works on one. The input side keeps up where decoding takes less time than the base.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.runs.examples import Example

SHARED = Path(__file__).resolve().parents[3] / "shared"
IMAGES, ROUNDS, BACKBONE = 512, 3, "mobilenet_v2"


def measure() -> list[dict[str, object]]:
    """Median milliseconds an image of each part; of the heads, all epochs of a bank together."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["HEADSTART_CACHE"] = name
        parts = _parts(_examples())
        for run in parts.values():
            run()  # Traced, and the files are in the page cache.
        taken: dict[str, list[float]] = {part: [] for part in parts}
        for _ in range(ROUNDS):
            for part, run in parts.items():
                began = time.perf_counter()
                run()
                taken[part].append(time.perf_counter() - began)
    rows: list[dict[str, object]] = []
    for part, seconds in taken.items():
        milliseconds = 1000 * statistics.median(seconds) / IMAGES
        against = statistics.median(own / base for own, base in zip(seconds, taken["base"], strict=True))
        rows.append(
            {"part": part, "ms an image": milliseconds, "images/s": 1000 / milliseconds, "times the base": against}
        )
    return rows


def _parts(examples: list[Example]) -> dict[str, Callable[[], Any]]:
    """Each part as a function of no arguments that goes once over all images."""
    from models.backbones import build_backbone
    from models.classifier import build_feature_extractor
    from models.engines.compiled import compile_base
    from models.heads import HEADS
    from models.weights import is_cached
    from models.zoo import BACKBONES
    from pipelines.features.cached import Features
    from pipelines.features.shards import ShardStore, key
    from pipelines.fitting.bank_epochs import HeadSearch
    from pipelines.fitting.candidates import HeadGrid, list_candidates
    from pipelines.fitting.heads import fit_heads
    from pipelines.images.augment import build_augmenter
    from pipelines.images.batches import view_batches
    from pipelines.images.policies import POLICIES
    from pipelines.runs.square import Square
    from pipelines.system.progress import Silent

    backbone = BACKBONES[BACKBONE]
    size = backbone.image_size
    model = build_feature_extractor(build_backbone(backbone, weights="imagenet" if is_cached(backbone) else "none"))

    def read(policy: str | None) -> Any:
        augmenter = build_augmenter(POLICIES[policy], size=size) if policy else None
        entries = [(example, int(policy is not None)) for example in examples]
        return view_batches(entries, square=Square(size=size, fit="squash"), batch=32, augmenter=augmenter)

    def through(policy: str | None) -> Callable[[], None]:
        batches = read(policy)

        def run() -> None:
            for _ in batches:
                pass

        return run

    pixels = [np.asarray(batch) for batch in read(None)]
    compiled = compile_base(model, sample=pixels[0], num_images=10_000)
    rows = np.concatenate([compiled(batch) for batch in pixels]).astype(np.float16)
    store = ShardStore(Path(os.environ["HEADSTART_CACHE"]) / "bench")
    store.add([key(example.sha256, 0) for example in examples], rows)
    classes = 1 + max(example.label for example in examples)
    train, validation = (
        Features((store, store), [example for place, example in enumerate(examples) if (place % 8 == 0) is held], 1)
        for held in (False, True)
    )
    grid = HeadGrid(head=HEADS["linear"], num_features=rows.shape[1], num_classes=classes, optimizer="adam")
    search = HeadSearch(
        head=grid.head,
        candidates=list_candidates(grid, count=16, seed=0),
        num_classes=classes,
        optimizer="adam",
        epochs=60,
        seed=0,
    )

    def heads() -> None:
        fit_heads(search, train=train, validation=validation, reporter=Silent())

    def together() -> None:
        for batch in read(None):
            compiled(batch)

    return {
        "decode": through(None),
        "decode + light augmentation": through("light"),
        "decode + strong augmentation": through("strong"),
        "base": lambda: [compiled(batch) for batch in pixels],
        "decode and base together": together,
        "16 heads, all epochs": heads,
    }


def _examples() -> list[Example]:
    import hashlib

    files = sorted((SHARED / "data" / "clothing" / "train").rglob("*.jpg"))
    names = sorted({file.parent.name for file in files})
    chosen = files[:: max(1, len(files) // IMAGES)][:IMAGES]
    return [
        Example(
            path=str(file),
            label=names.index(file.parent.name),
            split="train",
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            source=str(file),
        )
        for file in chosen
    ]
