"""How many images a second each engine takes through a frozen base, beside Keras' `predict` and what a matmul reaches.

All in one process, in turn, so that a disturbance meets everyone: a ratio is the median of the ratios of the rounds.
Weights are the published ones where Keras' cache has them, else random: speed does not depend on them, but whether
bfloat16 keeps the features does, so `chosen` may be another engine with other weights.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

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
Row = dict[str, object]


def measure() -> list[Row]:
    """A row an engine and network, then the geometric mean of the chosen ones and the best matmul."""
    rows, chosen = [], []
    for name in NETWORKS:
        found = _network(name)
        rows += found
        chosen += [float(str(row["x predict"])) for row in found if row["chosen"]]
        gc.collect()
    mean = statistics.geometric_mean(chosen)
    rows.append({"network": "geometric mean", "engine": "chosen", "x predict": mean, "chosen": True})
    for precision in ("float32", "bfloat16"):
        rows.append({"network": "matmul", "engine": precision, "GFLOP/s": _matmul(precision), "chosen": False})
    return rows


def _network(name: str) -> list[Row]:
    import keras

    backbone = BACKBONES[name]
    weights: Literal["imagenet", "none"] = "imagenet" if is_cached(backbone) else "none"
    keras.utils.set_random_seed(0)
    model = build_feature_extractor(build_backbone(backbone, weights=weights))
    pixels = _pixels(backbone.image_size)
    source = TracedBase(model, pixels.shape)
    runs: dict[str, Callable[[Any], Any]] = {"predict": lambda x: model.predict(x, batch_size=BATCH, verbose=0)}
    for engine, entry in ENGINES.items():
        for precision in entry.precisions():
            runs[f"{engine} {precision}"] = entry.build(source, precision)[0]
    right = runs["keras float32"](pixels)
    differing = {each: float(np.linalg.norm(run(pixels) - right) / np.linalg.norm(right)) for each, run in runs.items()}
    taken: dict[str, list[float]] = {each: [] for each in runs}
    for _ in range(ROUNDS):
        for each, run in runs.items():
            began = time.perf_counter()
            run(pixels)
            taken[each].append(time.perf_counter() - began)
    ratio = {
        each: statistics.median(plain / own for plain, own in zip(taken["predict"], times, strict=True))
        for each, times in taken.items()
    }
    # What two batches say is chosen, as in use; the ratio is that of the rounds above.
    base = compile_base(model, pixels)
    gigaflops = _flops(source.graph) / len(pixels) / 1e9
    rates = {each: len(pixels) / statistics.median(times) for each, times in taken.items()}
    return [
        {
            "network": name,
            "weights": weights,
            "engine": each,
            "images/s": rates[each],
            "x predict": ratio[each],
            "GFLOP/s": rates[each] * gigaflops,
            "differs": differing[each],
            "kept": differing[each] < TOLERANCE,
            "chosen": each == f"{base.choice.engine} {base.choice.precision}",
        }
        for each in runs
    ]


def _pixels(size: int) -> Any:
    """A batch of photographs where they are at hand, else noise: (BATCH, size, size, 3) float32 in [0, 255]."""
    from PIL import Image

    files = sorted(PHOTOS.rglob("*.jpg"))
    if len(files) < BATCH:
        return np.random.default_rng(0).uniform(0, 255, (BATCH, size, size, 3)).astype(np.float32)
    chosen = files[:: len(files) // BATCH][:BATCH]
    return np.stack([np.asarray(Image.open(file).convert("RGB").resize((size, size)), np.float32) for file in chosen])


def _flops(graph: Graph) -> int:
    """Multiplications and additions of a whole batch in convolutions and matrix products."""
    import tensorflow as tf

    shaped = tf.Graph()
    with shaped.as_default():
        tf.graph_util.import_graph_def(graph.graph_def, name="")
    total = 0
    for node in shaped.get_operations():
        if node.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            kernel = node.inputs[1].shape
            # Each output number is a sum over the kernel's height and width, and over its channels unless depthwise.
            terms = prod(kernel[:2]) if node.type.startswith("Depth") else prod(kernel) // node.outputs[0].shape[-1]
            total += 2 * prod(node.outputs[0].shape) * terms
    return total


def _matmul(precision: str) -> float:
    """GFLOP/s of the fastest square matrix product of some sizes."""
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
