"""Names of the arrays that the rooms hand to each other: what they hold, their shape, unit and type."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# (images, height, width, 3), or (batch, ...): red, green, blue in [0, 255].
Pixels: TypeAlias = NDArray[np.float32]
# (images, features) or (batch, features): what a frozen base gives for images.
FeatureRows: TypeAlias = NDArray[np.float32]
# The same as the feature cache keeps them.
HalfRows: TypeAlias = NDArray[np.float16]
# (images, classes), rows that sum to 1, as a model gives them; (members, images, classes) where members are stacked.
Probabilities: TypeAlias = NDArray[np.float32]
# (images,) class of each image, an index into the class names.
Labels: TypeAlias = NDArray[np.int32]
# (classes,) or (images,) weight of a class or of an image in the training loss.
Weights: TypeAlias = NDArray[np.float32]
# Any shape, in double precision: scores, losses, logits, and probabilities that statistics are made of.
Doubles: TypeAlias = NDArray[np.float64]
# (n,) whole numbers: places in an array, class indices.
Indices: TypeAlias = NDArray[np.intp]
