"""Measures an epoch of fine-tuning the last stage of ResNet50: on cached activations, and through the whole network.

Both train the same layers from the same weights (random: time does not depend on them) with the same step. They are
interleaved, so that a busy machine slows both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROUNDS, IMAGES, BATCH, BLOCK = 3, 128, 32, "conv5"


def measure() -> list[dict[str, object]]:
    """Seconds an epoch both ways, and how many times faster the cache is; its epoch includes reading the cache."""
    os.environ["HEADSTART_CACHE"] = tempfile.mkdtemp(prefix="headstart-bench-")
    whole, cached, caching_seconds = _epochs()
    times: dict[str, list[float]] = {"whole network": [], "cached boundary": []}
    for _ in range(ROUNDS):
        for name, epoch in (("whole network", whole), ("cached boundary", cached)):
            began = time.monotonic()
            epoch()
            times[name].append(time.monotonic() - began)
    ratios = [whole_epoch / cached_epoch for whole_epoch, cached_epoch in zip(*times.values(), strict=True)]
    rows: list[dict[str, object]] = [
        {"what": f"epoch of {IMAGES} images, {name}", "median": statistics.median(seconds), "unit": "s"}
        for name, seconds in times.items()
    ]
    rows.append({"what": "computing the activations, once", "median": caching_seconds, "unit": "s"})
    rows.append({"what": "cached boundary against whole network", "median": statistics.median(ratios), "unit": "x"})
    return rows


def _epochs() -> tuple[Any, Any, float]:
    """An epoch of each kind as a function without arguments, traced and warm, and the seconds to fill the cache."""
    import keras
    import numpy as np
    import tensorflow as tf

    from models.backbones import build_backbone
    from models.classifier import build_classifier, build_top
    from models.freezing import set_trainable
    from models.heads import HEADS, build_head
    from models.optimizer import LayerwiseOptimizer
    from models.splitting import split_at
    from models.zoo import BACKBONES
    from pipelines.features.boundary import boundary_batches, flattened
    from pipelines.features.cached import Features
    from pipelines.features.shards import ShardStore, key
    from pipelines.fitting.step import TrainingStep
    from pipelines.runs.examples import Example

    keras.utils.set_random_seed(0)
    backbone = build_backbone(BACKBONES["resnet50"], weights="none")
    size = int(backbone.input_shape[1])
    model = build_classifier(backbone, build_head(HEADS["linear"], num_features=2048, num_classes=10))
    set_trainable(backbone, BLOCK)
    lower, upper = split_at(backbone, BLOCK)
    top = build_top(model, upper)
    shape = lower.output_shape[1:]

    pixels = np.random.default_rng(0).uniform(0, 255, (IMAGES, size, size, 3)).astype(np.float32)
    examples = [Example(path="", label=n % 10, split="train", sha256=f"{n:064x}", source="") for n in range(IMAGES)]
    labels = np.array([example.label for example in examples], np.int32)
    streamed = tf.data.Dataset.from_tensor_slices((pixels, labels, np.ones(IMAGES, np.float32))).batch(BATCH)

    # Plain Keras fills the cache: engines, which are faster, have a benchmark of their own.
    began = time.monotonic()
    rows = flattened(lower)
    store = ShardStore(Path(os.environ["HEADSTART_CACHE"]) / "boundaries" / "bench")
    for start in range(0, IMAGES, BATCH):
        activations = np.asarray(rows.predict_on_batch(pixels[start : start + BATCH])).astype(np.float16)
        store.add([key(example.sha256, 0) for example in examples[start : start + BATCH]], activations)
    caching_seconds = time.monotonic() - began
    part = Features((store, store), examples, 1)

    def step_of(model: Any) -> TrainingStep:
        weights = model.trainable_variables
        updates = LayerwiseOptimizer("adam", weights, [1.0] * len(weights))
        updates.set_rate(1e-4)
        return TrainingStep(model, updates)

    whole_step, top_step = step_of(model), step_of(top)

    def whole() -> None:
        for batch in streamed:
            whole_step.train(batch)

    def cached() -> None:
        for batch in boundary_batches(part, shape, batch=BATCH):
            top_step.train(batch)

    whole_step.train(next(iter(streamed)))
    top_step.train(next(iter(boundary_batches(part, shape, batch=BATCH))))
    return whole, cached, caching_seconds
