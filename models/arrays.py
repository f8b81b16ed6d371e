"""Names the arrays and tensors that the rooms hand to each other: what they hold, their shape, unit and type."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# (images, height, width, 3), or (batch, ...): red, green, blue in [0, 255].
Pixels: TypeAlias = NDArray[np.float32]
# (images, features) or (batch, features): the output of a frozen base, one row for each image.
FeatureRows: TypeAlias = NDArray[np.float32]
# The same rows in half precision, as the feature cache stores them.
HalfRows: TypeAlias = NDArray[np.float16]
# (images, 256) in [0, 255]: the edges of images, as `pipelines.images.fingerprint` gives them.
Fingerprints: TypeAlias = NDArray[np.uint8]
# (images, classes), each row with sum 1; (members, images, classes) for several models.
Probabilities: TypeAlias = NDArray[np.float32]
# (images,) class of each image, as an index into the class names.
Labels: TypeAlias = NDArray[np.int32]
# Weights of a layer (any shape); of classes (classes,) or images (images,) in a loss; of members (members,).
Weights: TypeAlias = NDArray[np.float32]
# Any shape, in single precision: means and deviations of features, logits, losses of a training step.
Singles: TypeAlias = NDArray[np.float32]
# Any shape, in double precision: scores, losses, logits, and probabilities that statistics are computed from.
Doubles: TypeAlias = NDArray[np.float64]
# (n,) integers: positions in an array, class indices.
Indices: TypeAlias = NDArray[np.intp]
# Any shape: whether something holds for each entry.
Flags: TypeAlias = NDArray[np.bool_]
# A tensor of TensorFlow, symbolic ones too: TensorFlow ships no types.
Tensor: TypeAlias = Any
