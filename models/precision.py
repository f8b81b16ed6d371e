"""Train in half precision where the hardware computes in it: weights and the step stay in float32."""

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
    """The precision in which this machine trains fastest without harm: that of its first GPU, or float32.

    A CPU trains in float32 even where it has AVX512_BF16 or AMX: what bfloat16 brings there depends on the network.
    On two cores of an AMD EPYC with AVX512_BF16 a step of ResNet50 takes 0.68 s for 1.08 s, one of MobileNetV2, whose
    depthwise convolutions have no such kernel, 0.42 s for 0.24 s. Who knows his network asks for it by name.
    """
    import tensorflow as tf

    cards = tf.config.list_physical_devices("GPU")
    if not cards:
        return "float32"
    found = tf.config.experimental.get_device_details(cards[0]).get("compute_capability", (0, 0))
    return "bfloat16" if found >= BFLOAT16_FROM else "float16" if found >= FLOAT16_FROM else "float32"


@contextmanager
def computing_in(precision: Precision, *models: keras.Model) -> Iterator[None]:
    """Let the layers of models compute in a precision while the block runs; what is saved afterwards is float32.

    What is traced inside the block keeps the precision, so functions of a model that were traced outside it, such as
    `predict_on_batch`, must not be used inside, nor the other way round.

    Args:
        precision: of the computation; weights stay in float32.
        models: whose layers are meant. Those that scale pixels and those that give probabilities stay in float32:
            half precision would cost the one its digits and the other its small values.
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
