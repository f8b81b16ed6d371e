"""Shifts the colours of an image along the principal components of the training pixels (Krizhevsky et al. 2012)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from models.arrays import Tensor


def fancy_pca(covariance: Sequence[Sequence[float]], stddev: float = 0.1) -> Callable[[Tensor, Tensor], Tensor]:
    """Add to all pixels of an image a multiple of each principal component of the colours.

    Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep CNNs" (NIPS 2012), section 4.1: the multiple is
    the component's eigenvalue times a draw from a normal distribution, once for each image in each epoch. Eigenvalues
    depend on the unit of pixels; it is [0, 1] here, in which they shift ImageNet by some grey levels.

    Args:
        covariance: (3, 3) of red, green and blue over the training pixels, in [0, 1]; `colour_covariance` fills it in.
        stddev: of the normal distribution.

    Returns:
        (image float32 (size, size, 3) in [0, 255], key int32 (2,)) -> image, not yet clipped.

    Raises:
        ValueError: `covariance` is not a covariance of three colours, or `stddev` is negative.
    """
    if stddev < 0:
        raise ValueError(f"`stddev` must not be negative, got {stddev}")
    matrix = np.asarray(covariance, np.float64)
    if matrix.shape != (3, 3) or not np.allclose(matrix, matrix.T):
        raise ValueError("`covariance` must be a symmetric matrix of three rows")
    eigenvalues, components = np.linalg.eigh(matrix)
    # Libraries differ in the sign of a component, and a draw would shift the other way.
    components *= np.sign(components[np.abs(components).argmax(0), np.arange(3)])
    directions = tf.constant(255 * components * np.maximum(eigenvalues, 0.0), tf.float32)

    def transform(image: Tensor, key: Tensor) -> Tensor:
        return image + tf.linalg.matvec(directions, tf.random.stateless_normal([3], key, stddev=stddev))

    return transform
