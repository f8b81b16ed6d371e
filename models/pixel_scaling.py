"""Scales pixels in [0, 255] as the weights of a backbone expect them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from models.families import PixelScaling

# Of ImageNet, of pixels in [0, 1], RGB.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def scale_pixels(pixels: keras.KerasTensor, scaling: PixelScaling) -> keras.KerasTensor:
    """Scale pixels in [0, 255], shape (batch, height, width, 3), RGB, as `models.families.PixelScaling` describes.

    The scaling consists of Keras' own layers and operations, without weights, so that the result loads where headstart
    is not installed and files of weights fit. It is computed in float32, because half precision loses digits of pixels.
    """
    from keras import layers, ops

    if scaling == "inside":
        return pixels
    if scaling == "caffe":
        offset = [-mean for mean in _CAFFE_MEAN_BGR]
        return layers.Rescaling(1.0, offset, dtype="float32", name="scaling")(ops.flip(pixels, axis=-1))
    if scaling == "grey":
        grey = ops.image.rgb_to_grayscale(pixels)
        return layers.Rescaling(-1.275 / 255, 1.175, dtype="float32", name="scaling")(grey)
    if scaling == "torch":
        scale = [1 / (255 * deviation) for deviation in DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
        return layers.Rescaling(scale, offset, dtype="float32", name="scaling")(pixels)
    factor = {"tf": 1 / 127.5, "half": 1 / 128}[scaling]
    return layers.Rescaling(factor, -1.0, dtype="float32", name="scaling")(pixels)
