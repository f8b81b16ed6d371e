"""Networks written out here, to be trained from scratch: a small one for small pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def small_cnn(pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Three blocks of convolution, batch normalisation and ReLU, for small pictures and few of them.

    Args:
        pixels: (batch, height, width, 3), scaled; sides of 8 pixels or more.

    Returns:
        A feature map (batch, height // 8, width // 8, 128).
    """
    from keras import layers

    x = pixels
    for number, filters in enumerate((32, 64, 128), 1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{number}_conv")(x)
        # Small data means few steps: moving statistics that remember 100 of them would lag behind the weights.
        x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_norm")(x)
        x = layers.ReLU(name=f"block{number}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
    return x
