"""Gradients, guided gradients, integrated gradients and occlusion, each against a reference of its own."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.explanations.activations import layer_activations
from pipelines.explanations.methods import METHODS
from pipelines.explanations.network import Network
from pipelines.explanations.occlusion import list_starts, occlusion
from pipelines.explanations.pixel_gradients import integrated_gradients, pixel_gradient, saliency, smoothgrad
from tests.pipelines.explanations.networks import SIZE, backbone, classifier, images

OFFSETS = ((0, 0, 0), (170, 170, 170), (10, 170, 90))
WANTED = np.asarray([2, 0, 1], np.int32)


def scores(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Scores (batch,) of the wanted classes of a linear head, by hand."""
    features = keras.Model(model.inputs[0], model.get_layer("pooling").output)(pixels, training=False)
    kernel, bias = model.get_layer("head").get_weights()
    return (np.asarray(features, np.float64) @ kernel + bias)[np.arange(len(pixels)), WANTED]


def test_the_gradient_is_that_of_finite_differences() -> None:
    model, pixels = classifier(levels=True), images()
    gradient = np.asarray(pixel_gradient(Network(model))(pixels, WANTED)[3])
    for row, column, colour in ((0, 0, 0), (15, 9, 1), (31, 20, 2)):
        shift = np.zeros_like(pixels)
        shift[:, row, column, colour] = 0.05
        slope = (scores(model, pixels + shift) - scores(model, pixels - shift)) / 0.1
        assert np.allclose(gradient[:, row, column, colour], slope, atol=1e-4)
    maps = saliency(Network(model))(pixels, WANTED).maps
    assert np.array_equal(maps, np.abs(gradient).max(-1))


def test_integrated_gradients_sum_to_the_difference_of_scores() -> None:
    # Bright and dark images: the score of noise is nearly that of grey, and a share of nearly nothing says little.
    model, pixels = classifier(mirror=True), (0.3 * images() + np.asarray(OFFSETS)[:, None, None]).astype(np.float32)
    explained = METHODS["integrated-gradients"].build(Network(model), None)(pixels, WANTED)
    expected = scores(model, pixels) - scores(model, np.full_like(pixels, 127.5))
    assert np.allclose(explained.maps.sum((1, 2)), expected, rtol=0.02)
    assert (explained.details["completeness_error"] < 0.02).all()
    rough = integrated_gradients(Network(model), steps=1, baseline=127.5)(pixels, WANTED)
    assert rough.details["completeness_error"].max() > explained.details["completeness_error"].max()


def test_smoothgrad_without_noise_is_the_gradient_and_with_it_is_the_same_every_time() -> None:
    network, pixels = Network(classifier()), images()
    plain = saliency(network)(pixels, WANTED).maps
    assert np.allclose(smoothgrad(network, samples=2, noise=0.0)(pixels, WANTED).maps, plain, atol=1e-7)
    noisy = [smoothgrad(network, samples=3, noise=0.2)(pixels, WANTED).maps for _ in range(2)]
    assert np.array_equal(noisy[0], noisy[1]) and not np.allclose(noisy[0], plain, atol=1e-5)


def test_guided_gradients_are_those_of_the_rule_by_hand() -> None:
    """Backpropagation of three convolutions in NumPy-like steps, with the rule of Springenberg et al. at each ReLU."""
    model, pixels = classifier(), images()
    guided = np.asarray(pixel_gradient(Network(model), is_guided=True)(pixels, WANTED)[3])
    base = model.get_layer("backbone")
    inputs = [base.get_layer(f"block{number}_conv").input for number in (1, 2, 3)]
    outputs = [base.get_layer(f"block{number}_relu").output for number in (1, 2, 3)]
    values = keras.Model(base.inputs[0], [*inputs, *outputs])(pixels)
    below, above = values[:3], values[3:]
    kernel = model.get_layer("head").get_weights()[0]
    signal = np.broadcast_to(kernel.T[WANTED][:, None, None, :] / 64, above[2].shape).astype(np.float32)
    for number in (3, 2, 1):
        convolution = base.get_layer(f"block{number}_conv")
        signal = np.maximum(signal, 0) * (np.asarray(above[number - 1]) > 0)
        signal = tf.nn.conv2d_transpose(
            signal, convolution.kernel, below[number - 1].shape, convolution.strides[0], "SAME"
        ).numpy()
    assert np.allclose(guided, signal / 127.5, atol=1e-6)
    assert not np.allclose(guided, np.asarray(pixel_gradient(Network(model))(pixels, WANTED)[3]), atol=1e-5)


def test_occlusion_is_the_mean_fall_of_the_score_by_brute_force() -> None:
    model, pixels = classifier(), images()
    explained = occlusion(Network(model), share=3, grey=100.0)(pixels, WANTED)
    side, starts = 11, [0, 5, 10, 15, 20, 21]
    assert list_starts(SIZE, side) == starts
    falls: dict[tuple[int, int], list[np.ndarray]] = {}
    for top in starts:
        for left in starts:
            hidden = pixels.copy()
            hidden[:, top : top + side, left : left + side] = 100
            fall = scores(model, pixels) - scores(model, hidden)
            for row in range(top, top + side):
                for column in range(left, left + side):
                    falls.setdefault((row, column), []).append(fall)
    expected = np.stack([np.mean(falls[divmod(place, SIZE)], 0) for place in range(SIZE**2)], -1)
    assert np.allclose(explained.maps, expected.reshape(3, SIZE, SIZE), atol=1e-4)


@pytest.mark.parametrize("mirror", [False, True])
def test_activations_are_those_of_the_layer(mirror: bool) -> None:
    network, pixels = Network(classifier(mirror=mirror)), images()
    path = network.find_layer("block2_relu")
    assert path.endswith("/block2_relu") and path in network.list_maps()
    explained = layer_activations(network, path)(pixels, WANTED)
    base = backbone()
    expected = np.asarray(keras.Model(base.inputs[0], base.get_layer("block2_relu").output)(pixels))
    assert explained.channels is not None and np.allclose(explained.channels, expected, atol=1e-4)
    if not mirror:
        assert np.allclose(explained.maps.sum((1, 2)), expected.mean(-1).sum((1, 2)), rtol=1e-4)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("activations", "occlusion")])
def test_a_map_changes_when_the_weights_are_randomised(method: str) -> None:
    """The sanity check of Adebayo et al. 2018: a map that survives other weights shows the picture, not the network."""
    from scipy.stats import spearmanr

    pixels, wanted = images(6), np.arange(6, dtype=np.int32) % 3
    maps = [METHODS[method].build(Network(classifier(seed, pools=True)), None)(pixels, wanted).maps for seed in (0, 20)]
    # Pixels at the border are seen by fewer kernels, whatever the weights.
    maps = [of_seed[:, 5:-5, 5:-5] for of_seed in maps]
    correlations = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(*maps, strict=True)]
    assert abs(np.mean(correlations)) < 0.2
