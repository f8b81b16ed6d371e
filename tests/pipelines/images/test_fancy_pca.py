"""The colour shifts of Krizhevsky et al. 2012: their distribution follows from the covariance, without components."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from pipelines.images.fancy_pca import fancy_pca

# Of pixels in [0, 1]: bright colours vary together.
COVARIANCE = np.asarray([[0.08, 0.06, 0.05], [0.06, 0.07, 0.055], [0.05, 0.055, 0.075]])
FLAT = np.full((4, 4, 3), 100.0, np.float32)


def shifts(count: int, stddev: float = 0.1) -> np.ndarray:
    """(count, 3): what is added to red, green and blue."""
    transform = fancy_pca(COVARIANCE.tolist(), stddev)
    keys = tf.stack([tf.range(count), tf.fill([count], 5)], axis=1)
    views = tf.map_fn(lambda key: transform(tf.constant(FLAT), key), keys, fn_output_signature=tf.float32).numpy()
    np.testing.assert_array_equal(views, np.broadcast_to(views[:, :1, :1], views.shape))
    return np.asarray(views[:, 0, 0] - 100)


def test_shifts_are_normal_with_eigenvalues_times_a_tenth_as_their_deviations() -> None:
    drawn = shifts(4000)
    # P diag(alpha * eigenvalues) has the covariance 0.1 ** 2 * P diag(eigenvalues ** 2) P' = 0.01 * C @ C.
    expected = (0.1 * 255) ** 2 * COVARIANCE @ COVARIANCE
    np.testing.assert_allclose(np.cov(drawn.T), expected, rtol=0.1)
    for channel in range(3):
        assert kstest(drawn[:, channel] / expected[channel, channel] ** 0.5, "norm").pvalue > 1e-3


def test_an_image_keeps_its_shift_for_a_key_and_the_deviation_scales_it() -> None:
    np.testing.assert_allclose(shifts(5, 0.2), 2 * shifts(5), rtol=1e-4)


def test_grey_pictures_get_no_tint() -> None:
    # Without colours in training, red, green and blue shift alike.
    grey = fancy_pca([[0.05] * 3] * 3)(tf.constant(FLAT), tf.constant([1, 2])).numpy()[0, 0] - 100
    assert abs(grey[0]) > 0.1
    np.testing.assert_allclose(grey, grey[0], rtol=1e-3)


@pytest.mark.parametrize("covariance", [[[1.0]], [[1, 2, 3], [0, 1, 2], [0, 0, 1]]])
def test_what_is_no_covariance_of_three_colours_is_refused(covariance: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="symmetric matrix of three rows"):
        fancy_pca(covariance)
    with pytest.raises(ValueError, match="must not be negative"):
        fancy_pca(COVARIANCE.tolist(), -1.0)
