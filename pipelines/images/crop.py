"""Draws a random part of an image that is resized to the whole, as networks for ImageNet are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.stateless_layers import PerImageSeeds


class RandomResizedCrop(keras.layers.Layer):
    """A part of random area and aspect ratio at a random place, resized to the size of the image.

    The area is uniform in its range. The aspect ratio is uniform on a logarithmic scale among those of its range with
    which a part of that area fits into the image, so that no part has to be drawn again. Both refer to the square that
    the network sees.

    Source: Szegedy et al. 2015 (arXiv 1409.4842), section 6, whose ranges are the defaults.

    Args:
        area: least and greatest area of the part, as a fraction of the image's, in (0, 1].
        aspect_ratio: least and greatest ratio of its width to its height, above 0.

    Raises:
        ValueError: not two numbers in order and in range, or a part of the greatest area never fits.
    """

    def __init__(
        self, area: Sequence[float] = (0.08, 1.0), aspect_ratio: Sequence[float] = (3 / 4, 4 / 3), **kwargs: str
    ) -> None:
        super().__init__(**kwargs)
        self.area = _ends("area", area)
        self.aspect_ratio = _ends("aspect_ratio", aspect_ratio)
        if self.area[1] > 1:
            raise ValueError(f"`area` is a fraction of the image, at most 1, got {self.area[1]:g}")
        if not self.area[1] <= min(self.aspect_ratio[1], 1 / self.aspect_ratio[0]):
            raise ValueError(f"no part with these aspect ratios has the area {self.area[1]:g} of the image")

    def get_random_transformation(self, images: Tensor, training: bool, seed: PerImageSeeds) -> Mapping[str, Tensor]:
        """Draw a part: `left`, `top`, `width` and `height`, scalars in [0, 1], as fractions of the sides."""
        area = _uniform(seed, *self.area)
        narrowest, widest = tf.maximum(self.aspect_ratio[0], area), tf.minimum(self.aspect_ratio[1], 1 / area)
        ratio = tf.exp(_uniform(seed, tf.math.log(narrowest), tf.math.log(widest)))
        # Rounding may leave a side a last digit above 1.
        width, height = tf.minimum(tf.sqrt(area * ratio), 1.0), tf.minimum(tf.sqrt(area / ratio), 1.0)
        left, top = _uniform(seed, 0.0, 1 - width), _uniform(seed, 0.0, 1 - height)
        return {"left": left, "top": top, "width": width, "height": height}


def _ends(name: str, values: Sequence[float]) -> tuple[float, float]:
    """A range as two numbers."""
    numbers = tuple(values) if isinstance(values, Sequence) else ()
    is_pair = len(numbers) == 2 and all(isinstance(number, int | float) for number in numbers)
    if not is_pair or not 0 < numbers[0] <= numbers[1]:
        raise ValueError(f"`{name}` must be two numbers above 0, the smaller first, got {values}")
    return float(numbers[0]), float(numbers[1])


def _uniform(seed: PerImageSeeds, low: Tensor | float, high: Tensor | float) -> Tensor:
    # Not by the bounds of `stateless_uniform`, which must differ.
    return low + (high - low) * tf.random.stateless_uniform([], seed.next())
