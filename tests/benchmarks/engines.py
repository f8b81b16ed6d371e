"""Measures the images/s of each engine on a frozen base, beside Keras' `predict` and the fastest matrix product.

All run in one process, in turn, so that a disturbance slows each of them: a ratio is the median of the ratios of the
rounds. Weights are the published ones where Keras' cache has them, else random: the speed does not depend on them, but
whether bfloat16 keeps the features does, so `chosen` may be another engine with other weights.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from models.arrays import Pixels
from models.backbones import build_backbone
from models.classifier import build_feature_extractor
from models.engines.compiled import BATCH, compile_base
from models.engines.graph import Graph
from models.engines.source import TracedBase
from models.engines.table import ENGINES
from models.engines.trials import TOLERANCE
from models.weights import is_cached
from models.zoo import BACKBONES

NETWORKS = ("resnet50", "vgg16", "inception_v3", "mobilenet_v2", "densenet121", "efficientnet_b0")
PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clothing" / "test"
ROUNDS = 5
Row: TypeAlias = dict[str, object]


def measure() -> list[Row]:
    """A row per engine and network, then the geometric mean of the chosen engines and the best matrix product."""
    rows, ratios = [], []
    for name in NETWORKS:
        of_network = _network(name)
        rows += of_network
        ratios += [float(str(row["x predict"])) for row in of_network if row["chosen"]]
        gc.collect()
    mean = statistics.geometric_mean(ratios)
    rows.append({"network": "geometric mean", "engine": "chosen", "x predict": mean, "chosen": True})
    for precision in ("float32", "bfloat16"):
        rows.append({"network": "matmul", "engine": precision, "GFLOP/s": _matmul(precision), "chosen": False})
    return rows


def _network(name: str) -> list[Row]:
    """A row per engine of one network."""
    import keras

    backbone = BACKBONES[name]
    weights: Literal["imagenet", "none"] = "imagenet" if is_cached(backbone) else "none"
    keras.utils.set_random_seed(0)
    model = build_feature_extractor(build_backbone(backbone, weights=weights))
    pixels = _pixels(backbone.image_size)
    source = TracedBase(model, pixels.shape)
    runs: dict[str, Callable[[Pixels], Any]] = {  # Any: Keras ships no types for what predict returns
        "predict": lambda x: model.predict(x, batch_size=BATCH, verbose=0)
    }
    for engine, entry in ENGINES.items():
        for precision in entry.precisions():
            runs[f"{engine} {precision}"] = entry.build(source, precision)[0]
    expected = runs["keras float32"](pixels)
    differences = {
        engine: float(np.linalg.norm(run(pixels) - expected) / np.linalg.norm(expected)) for engine, run in runs.items()
    }
    seconds: dict[str, list[float]] = {engine: [] for engine in runs}
    for _ in range(ROUNDS):
        for engine, run in runs.items():
            began = time.perf_counter()
            run(pixels)
            seconds[engine].append(time.perf_counter() - began)
    # The choice is that of use, by two batches; the ratio is that of the rounds above.
    choice = compile_base(model, pixels).choice
    gigaflops = _flops(source.graph) / len(pixels) / 1e9
    rates = {engine: len(pixels) / statistics.median(times) for engine, times in seconds.items()}
    return [
        {
            "network": name,
            "weights": weights,
            "engine": engine,
            "images/s": rates[engine],
            "x predict": _median_ratio(seconds["predict"], times),
            "GFLOP/s": rates[engine] * gigaflops,
            "differs": differences[engine],
            "kept": differences[engine] < TOLERANCE,
            "chosen": engine == f"{choice.engine} {choice.precision}",
        }
        for engine, times in seconds.items()
    ]


def _median_ratio(times: list[float], other_times: list[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(seconds / other for seconds, other in zip(times, other_times, strict=True))


def _pixels(size: int) -> Pixels:
    """Photographs if available, else noise: (BATCH, size, size, 3) float32 in [0, 255]."""
    from PIL import Image

    files = sorted(PHOTOS.rglob("*.jpg"))
    if len(files) < BATCH:
        return np.random.default_rng(0).uniform(0, 255, (BATCH, size, size, 3)).astype(np.float32)
    chosen = files[:: len(files) // BATCH][:BATCH]
    return np.stack([np.asarray(Image.open(file).convert("RGB").resize((size, size)), np.float32) for file in chosen])


def _flops(graph: Graph) -> int:
    """The multiplications and additions of a batch in convolutions and matrix products."""
    import tensorflow as tf

    shaped = tf.Graph()
    with shaped.as_default():
        tf.graph_util.import_graph_def(graph.graph_def, name="")
    total = 0
    for node in shaped.get_operations():
        if node.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            kernel = node.inputs[1].shape
            # An output value is a sum over the kernel's height and width, and over its channels unless depthwise.
            terms = prod(kernel[:2]) if node.type.startswith("Depth") else prod(kernel) // node.outputs[0].shape[-1]
            total += 2 * prod(node.outputs[0].shape) * terms
    return total


def _matmul(precision: str) -> float:
    """GFLOP/s of the fastest of several square matrix products."""
    import tensorflow as tf

    best = 0.0
    for size in (1024, 2048, 3072):
        left, right = (tf.cast(tf.random.normal((size, size)), precision) for _ in range(2))
        multiply = tf.function(tf.matmul)
        multiply(left, right)
        for _ in range(8):
            began = time.perf_counter()
            float(multiply(left, right)[0, 0])
            best = max(best, 2 * size**3 / (time.perf_counter() - began) / 1e9)
    return best
