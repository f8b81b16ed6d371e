"""What several heads on one backbone cost at prediction: one head against 5 and 40, fused and not.

python -m tests.benchmarks joined_heads
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from models.classifier import build_classifier
from models.ensemble import combine
from models.heads import HEADS, build_head

COUNTS = (5, 40)
REPEATS = 15


def measure() -> list[dict[str, object]]:
    """Time one head, several fused and several as they are, in turns; the medians of the ratios."""
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
    rows: list[dict[str, object]] = []
    for (name, shape), count in itertools.product(HEADS.items(), COUNTS):
        heads = [build_head(shape, num_features=1280, num_classes=10) for _ in range(count)]
        members = [build_classifier(backbone, head) for head in heads]
        models = {"one": members[0], "fused": combine(members), "loose": _loose(members[0], heads)}
        calls = {key: tf.function(lambda x, model=model: model(x, training=False)) for key, model in models.items()}
        for batch in (1, 32):
            images = tf.constant(np.random.default_rng(0).uniform(0, 255, (batch, 224, 224, 3)), tf.float32)
            times = _times(calls, images)
            for key in ("fused", "loose"):
                ratio = statistics.median(a / b for a, b in zip(times[key], times["one"], strict=True))
                what = f"{count} {name} heads, {key}, batch {batch}: time above one head's"
                rows.append({"what": what, "value": round(100 * (ratio - 1), 1), "unit": "%"})
    return rows


def _loose(member: keras.Model, heads: Sequence[keras.Model]) -> keras.Model:
    """All heads side by side, each with layers of its own."""
    features = member.get_layer("pooling").output
    named = [keras.Model(head.inputs[0], head.outputs[0], name=f"head_{place}") for place, head in enumerate(heads)]
    return keras.Model(member.inputs[0], keras.layers.Average()([head(features) for head in named]))


def _times(calls: dict[str, Callable[[tf.Tensor], tf.Tensor]], images: tf.Tensor) -> dict[str, list[float]]:
    for call in calls.values():
        call(images)
    seconds: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(REPEATS):
        for key, call in calls.items():
            began = time.perf_counter()
            call(images).numpy()
            seconds[key].append(time.perf_counter() - began)
    return seconds
