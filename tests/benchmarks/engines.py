"""Feature throughput: the engine that is chosen, and each on its own, against `keras.Model.predict` in float32.

Random weights: speed does not depend on them, but what a candidate differs by does, so none is left out for that here.
Every round runs all of them in turn; ratios are medians over rounds. GFLOP/s stand beside the machine's best matrix
product.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.backbones import build_backbone
from models.classifier import features_model
from models.frozen import compile_base
from models.zoo import BACKBONES

NAMES = ("resnet50", "vgg16", "inception_v3", "mobilenet_v2", "densenet121", "efficientnet_b0")
BATCH, ROUNDS = 32, 3


def measure() -> list[dict[str, object]]:
    """One row a network and engine, the geometric mean of the chosen ones, and the best matrix product."""
    rows: list[dict[str, object]] = []
    chosen: list[float] = []
    for name in NAMES:
        found = _network(name)
        rows += found
        chosen += [float(str(row["times predict"])) for row in found if str(row["engine"]).startswith("auto")]
        keras.backend.clear_session()
    rows.append({"network": "geometric mean", "engine": "auto", "times predict": statistics.geometric_mean(chosen)})
    rows += [
        {"network": "matrix product", "engine": kind, "GFLOP/s": _matmul(kind)} for kind in ("float32", "bfloat16")
    ]
    return rows


def _network(name: str) -> list[dict[str, object]]:
    keras.utils.set_random_seed(0)
    model = features_model(build_backbone(BACKBONES[name], weights="none"))
    pixels = np.random.default_rng(0).uniform(0, 255, (BATCH, *model.input_shape[1:])).astype(np.float32)
    flops = _flops(model, pixels.shape)
    runs: dict[str, Callable[[], Any]] = {"predict": lambda: model.predict(pixels, batch_size=BATCH, verbose=0)}
    for engine in ("auto", "tensorflow", "openvino"):
        base = compile_base(model, engine=engine, sample=pixels)
        runs[f"{engine}: {base.engine} {base.precision}"] = lambda base=base: base(pixels)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {each: [] for each in runs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for each, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[each].append(time.perf_counter() - began)
    return [
        {
            "network": name,
            "engine": each,
            "images/s": BATCH / statistics.median(found),
            "times predict": statistics.median(
                plain / own for plain, own in zip(seconds["predict"], found, strict=True)
            ),
            "GFLOP/s": flops * BATCH / statistics.median(found) / 1e9,
        }
        for each, found in seconds.items()
    ]


def _flops(model: keras.Model, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one image, counted in the graph."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    call = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    frozen = convert_variables_to_constants_v2(call.get_concrete_function(tf.TensorSpec((1, *shape[1:]), tf.float32)))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    found = tf.compat.v1.profiler.profile(frozen.graph, options=options)
    return float(found.total_float_ops)


def _matmul(kind: str) -> float:
    """The best of ten products of two 2048 x 2048 matrices, GFLOP/s."""
    left, right = (tf.cast(tf.random.normal((2048, 2048)), kind) for _ in range(2))
    product = tf.function(lambda: tf.matmul(left, right))
    product()
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        product().numpy()
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best / 1e9
