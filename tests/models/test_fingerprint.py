"""Which differences between two networks change their fingerprint."""

from __future__ import annotations

import keras
from keras import layers

from models.fingerprint import fingerprint


def backbone(seed: int = 0, size: int = 16) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 3, strides=2, activation="relu")(layers.Rescaling(1 / 127.5, offset=-1)(pixels))
    return keras.Model(pixels, layers.BatchNormalization()(x), name="backbone")


def test_names_of_layers_do_not_count() -> None:
    first, second = backbone(), backbone()
    assert first.layers[2].name != second.layers[2].name
    assert fingerprint(first) == fingerprint(second)


def test_another_architecture_with_the_same_weights_is_not_the_same() -> None:
    first, second = backbone(), backbone()
    assert fingerprint(first) == fingerprint(second)
    second.layers[2].activation = keras.activations.tanh
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) != fingerprint(backbone(seed=1))
    assert fingerprint(first) != fingerprint(backbone(size=18))


def test_a_frozen_and_a_thawed_backbone_are_the_same_network() -> None:
    first, second = backbone(), backbone()
    second.trainable = False
    assert fingerprint(first) == fingerprint(second)


def test_one_weight_that_differs_in_its_last_digits_is_another_network() -> None:
    first, second = backbone(), backbone()
    kernel, bias = second.layers[2].get_weights()
    kernel[0, 0, 0, 0] += 1e-6
    second.layers[2].set_weights([kernel, bias])
    assert fingerprint(first) != fingerprint(second)
