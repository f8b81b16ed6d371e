"""Spreads a batch over several GPUs: the strategy, and copies of models whose weights are on each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from models.keras_private import all_layers

if TYPE_CHECKING:
    import keras


def all_devices() -> tf.distribute.Strategy | None:
    """A strategy over all GPUs of this machine; None where it has one or none."""
    cards = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy([card.name for card in cards]) if len(cards) > 1 else None


def copy_for(strategy: tf.distribute.Strategy | None, model: keras.Model) -> keras.Model:
    """A copy of a model with its weights on every device of a strategy; the model itself where that is None."""
    if strategy is None:
        return model
    import keras

    with strategy.scope():
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        # A configuration does not always say what is frozen. Parents come before their children here: to set
        # `trainable` of a model sets it for all its layers.
        for layer, copied in zip(all_layers(model), all_layers(copy), strict=True):
            copied.trainable = layer.trainable
    return copy
