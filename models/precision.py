"""Computes in half precision during training; weights and optimizer steps stay in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from models.keras_private import all_layers

if TYPE_CHECKING:
    import keras

Precision = Literal["float32", "float16", "bfloat16"]
POLICIES: dict[Precision, str] = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
# Tensor cores compute in float16 from the first of these compute capabilities on, in bfloat16 from the second.
FLOAT16_FROM, BFLOAT16_FROM = (7, 0), (8, 0)


def best_precision() -> Precision:
    """Choose the fastest safe precision for training: half precision on a GPU with tensor cores for it, else float32.

    A CPU trains in float32 even if it has AVX512_BF16 or AMX: whether bfloat16 is faster there depends on the network.
    On two cores of an AMD EPYC with AVX512_BF16 a step of ResNet50 takes 0.68 s instead of 1.08 s, one of
    MobileNetV2, whose depthwise convolutions have no bfloat16 kernel, 0.42 s instead of 0.24 s.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "float32"
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    return "bfloat16" if capability >= BFLOAT16_FROM else "float16" if capability >= FLOAT16_FROM else "float32"


def precision_of(asked: Precision | Literal["auto"]) -> Precision:
    """What a network is trained in; `auto` stands for `best_precision`."""
    return best_precision() if asked == "auto" else asked


@contextmanager
def computing_in(precision: Precision, *models: keras.Model) -> Iterator[None]:
    """Let the layers of models compute in a precision inside a `with` block; models saved afterwards are float32.

    Functions traced inside the block keep the precision. So functions of a model that were traced outside, such as
    `predict_on_batch`, must not be used inside, nor the other way round.

    Args:
        precision: of the computation; weights stay in float32.
        models: the models. Their layers that scale pixels and those that end in a softmax stay in float32: half
            precision would lose digits of pixels and small probabilities.
    """
    import keras

    if precision not in POLICIES:
        yield
        return
    exact = (keras.layers.Rescaling, keras.layers.Normalization, keras.layers.InputLayer)
    layers = {id(layer): layer for model in models for layer in all_layers(model, include_self=False)}
    softmax = keras.activations.softmax
    changed = [
        layer
        for layer in layers.values()
        if not isinstance(layer, exact) and getattr(layer, "activation", None) is not softmax
    ]
    before = [layer.dtype_policy for layer in changed]
    try:
        for layer in changed:
            layer.dtype_policy = POLICIES[precision]
        yield
    finally:
        for layer, policy in zip(changed, before, strict=True):
            layer.dtype_policy = policy
