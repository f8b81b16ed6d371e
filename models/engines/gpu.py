"""A frozen base on a GPU: half precision, compiled by XLA, in the largest batch that memory holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from models.engines.source import Run, TracedBase

# Oldest CUDA compute capability with tensor cores for the type.
_TENSOR_CORES = {"bfloat16": (8, 0), "float16": (7, 0)}
_LARGEST_BATCH = 256


def build(source: TracedBase, precision: str) -> tuple[Run, int]:
    """XLA and half precision, in the largest batch that fits: see `models.engines.table.Engine.build`."""
    import numpy as np
    import tensorflow as tf

    model = lowered(source.model, f"mixed_{precision}")

    def call(pixels: Any) -> Any:
        return tf.cast(model(pixels, training=False), tf.float32)

    compiled = tf.function(call, jit_compile=True, autograph=False)

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = compiled(tf.constant(pixels)).numpy()
        return features

    def attempt(batch: int) -> None:
        run(np.zeros((batch, *source.shape[1:]), np.float32))

    return run, largest_batch(attempt, tf.errors.ResourceExhaustedError)


def largest_batch(attempt: Callable[[int], None], exhausted: type[Exception], *, largest: int = _LARGEST_BATCH) -> int:
    """Halve a batch until it fits.

    Args:
        attempt: runs a batch of so many images.
        exhausted: what it raises when memory does not suffice.
        largest: the batch to begin with.

    Raises:
        Exception: `exhausted`, where not even one image fits.
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
    """The half precisions that every GPU here has tensor cores for."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return ()
    able = [tf.config.experimental.get_device_details(device).get("compute_capability") or (0, 0) for device in devices]
    found = tuple(name for name, oldest in _TENSOR_CORES.items() if min(able) >= oldest)
    return found[:1] or ("float32",)


def grow_memory() -> str:
    """Let TensorFlow take GPU memory as it needs it, not all at once; returns why that could not be done, or nothing.

    To be called before anything runs on the GPU.
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

    Pixel scaling, global pooling and everything else that has no weights in front of the first convolution or behind
    the last one stays in float32: pixels up to 255 and means of many numbers would lose digits.

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

    def copy(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=copy)
        config = layer.get_config()
        # An operation such as `keras.ops.flip` is no layer and has no precision of its own.
        if isinstance(layer, layers.Layer) and not isinstance(layer, exact):
            config["dtype"] = policy
        return type(layer).from_config(config)

    made = keras.models.clone_model(model, clone_function=copy)
    made.set_weights(model.get_weights())
    return made
