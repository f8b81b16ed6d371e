"""Runs a frozen base on a GPU: in half precision, compiled by XLA, in the largest batch that fits its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from models.blocks import JOINED
from models.machine import may_have_gpu

if TYPE_CHECKING:
    import keras

    from models.arrays import FeatureRows, Pixels, Tensor
    from models.engines.source import Run, TracedBase

Operation: TypeAlias = Any  # A layer or a `keras.Operation`, which Keras gives no common type.
# Oldest CUDA compute capability with tensor cores for the type.
_TENSOR_CORES = {"bfloat16": (8, 0), "float16": (7, 0)}
_LARGEST_BATCH = 256


def build(source: TracedBase, precision: str) -> tuple[Run, int]:
    """XLA and half precision, in the largest batch that fits: see `models.engines.table.Engine.build`."""
    import numpy as np
    import tensorflow as tf

    model = lowered(source.model, f"mixed_{precision}")

    def call(pixels: Tensor) -> Tensor:
        return tf.cast(model(pixels, training=False), tf.float32)

    compiled = tf.function(call, jit_compile=True, autograph=False)

    def run(pixels: Pixels) -> FeatureRows:
        features: FeatureRows = compiled(tf.constant(pixels)).numpy()
        return features

    def attempt(batch: int) -> None:
        run(np.zeros((batch, *source.shape[1:]), np.float32))

    return run, largest_batch(attempt, tf.errors.ResourceExhaustedError)


def largest_batch(attempt: Callable[[int], None], exhausted: type[Exception], *, largest: int = _LARGEST_BATCH) -> int:
    """Halve the batch until it fits the memory.

    Args:
        attempt: runs a batch of so many images.
        exhausted: the error that it raises when they do not fit.
        largest: the batch to start with.

    Raises:
        Exception: `exhausted`, if not even one image fits.
    """
    batch = largest
    while True:
        try:
            attempt(batch)
            return batch
        except exhausted:
            if batch == 1:
                raise
            batch //= 2


def precisions() -> tuple[str, ...]:
    """The half precision that every GPU here has tensor cores for, else float32; empty without a GPU."""
    if not may_have_gpu():  # TensorFlow would need six seconds to say the same
        return ()
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return ()
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    oldest = min(detail.get("compute_capability") or (0, 0) for detail in details)
    supported = tuple(name for name, capability in _TENSOR_CORES.items() if oldest >= capability)
    return supported[:1] or ("float32",)


def grow_memory() -> str:
    """Let TensorFlow take GPU memory as it needs it, not all at once; call it before anything runs on the GPU.

    Returns:
        Why that is not possible, or an empty string.
    """
    import tensorflow as tf

    try:
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        return f"GPU memory is taken all at once: {error}"
    return ""


def lowered(model: keras.Model, policy: str) -> keras.Model:
    """Copy a model under a mixed precision policy.

    Inputs, pixel scaling and global pooling stay in float32: pixels up to 255 and means of many numbers would lose
    digits.

    Args:
        model: a functional or sequential model.
        policy: `mixed_bfloat16`, `mixed_float16`, or `mixed_float32` for an unchanged model.

    Raises:
        ValueError: a subclassed model, which Keras cannot copy.
    """
    import keras

    if policy == "mixed_float32":
        return model
    layers = keras.layers
    exact = (
        layers.InputLayer,
        layers.Rescaling,
        layers.Normalization,
        layers.GlobalAveragePooling2D,
        layers.GlobalMaxPooling2D,
    )
    exact_names = (JOINED, "pooling")  # what copies pooled values

    def copy(layer: Operation) -> Operation:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=copy)
        config = layer.get_config()
        # An operation such as `keras.ops.flip` is not a layer and has no precision.
        if isinstance(layer, layers.Layer) and not isinstance(layer, exact) and layer.name not in exact_names:
            config["dtype"] = policy
        return type(layer).from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
