"""Several GPUs: the strategy that spreads a batch over them, and models whose weights lie on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    import keras


def all_devices() -> tf.distribute.Strategy | None:
    """A strategy over all GPUs of this machine; None where there is one or none."""
    cards = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy([card.name for card in cards]) if len(cards) > 1 else None


def copy_for(
    strategy: tf.distribute.Strategy | None, model: keras.Model, trunk: keras.Model | None
) -> tuple[keras.Model, keras.Model | None]:
    """The same models with their weights on every device; the models themselves where there is one device.

    Args:
        strategy: over several devices, or None.
        model: what is trained.
        trunk: what comes before it, or None.
    """
    if strategy is None:
        return model, trunk
    with strategy.scope():
        return _copy(model), _copy(trunk) if trunk is not None else None


def _copy(model: keras.Model) -> keras.Model:
    import keras

    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    # What is frozen is no part of every configuration, and a model's own switch reaches down to all its layers: parents
    # come before children here.
    for layer, other in zip(model._flatten_layers(), twin._flatten_layers(), strict=True):
        other.trainable = layer.trainable
    return twin
