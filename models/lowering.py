"""A copy of a Keras model that computes in half precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


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
