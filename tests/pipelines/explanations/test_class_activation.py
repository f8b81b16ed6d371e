"""Class activation maps against the weights themselves, for every kind of head, network and ensemble."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models.ensemble import combine
from models.pools import StackingRegression
from pipelines.explanations.methods import METHODS
from pipelines.explanations.network import Network
from tests.pipelines.explanations.networks import CLASSES, SIZE, backbone, classifier, images, resized

ANY = np.full(3, -1, np.int32)


def logits(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """Scores of a classifier with a linear head, by hand: features times kernel, plus bias."""
    features = keras.Model(model.inputs[0], model.get_layer("pooling").output).predict(pixels, verbose=0)
    kernel, bias = model.get_layer("head").get_weights()
    return features @ kernel + bias


@pytest.mark.parametrize("method", ["hirescam", "grad-cam"])
def test_on_a_linear_head_over_an_average_the_map_is_that_of_the_weights(method: str) -> None:
    model, pixels = classifier(), images()
    explained = METHODS[method].build(Network(model), None)(pixels, ANY)
    kernel, bias = model.get_layer("head").get_weights()
    activations = backbone().predict(pixels, verbose=0)
    probabilities = model.predict(pixels, verbose=0)
    exact = np.einsum("bhwc,bc->bhw", activations, kernel.T[probabilities.argmax(1)]) / 64
    assert np.allclose(explained.maps, resized(exact), atol=1e-4 * np.abs(exact).max())
    assert np.array_equal(explained.classes, probabilities.argmax(1))
    assert np.allclose(explained.probabilities, probabilities, atol=1e-6)
    expected = logits(model, pixels)[np.arange(3), explained.classes]
    assert np.allclose(explained.scores, expected, atol=1e-4)
    assert np.allclose(explained.maps.sum((1, 2)), expected - bias[explained.classes], atol=1e-4)


@pytest.mark.parametrize("levels", [False, True])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_sum_of_a_map_is_the_score_less_the_bias(levels: bool, mirror: bool) -> None:
    model, pixels = classifier(levels=levels, mirror=mirror), images()
    wanted = np.asarray([2, 0, 1], np.int32)
    explained = METHODS["hirescam"].build(Network(model), None)(pixels, wanted)
    bias = model.get_layer("head").get_weights()[1]
    assert np.array_equal(explained.classes, wanted)
    expected = logits(model, pixels)[np.arange(3), wanted] - bias[wanted]
    assert np.allclose(explained.maps.sum((1, 2)), expected, atol=1e-4)


def test_a_mirrored_network_has_mirrored_maps_of_mirrored_images() -> None:
    explain = METHODS["hirescam"].build(Network(classifier(levels=True, mirror=True)), None)
    pixels, wanted = images(), np.zeros(3, np.int32)
    maps, of_mirrored = explain(pixels, wanted).maps, explain(pixels[:, :, ::-1].copy(), wanted).maps
    assert np.allclose(maps, of_mirrored[:, :, ::-1], atol=1e-6)
    assert not np.allclose(maps, of_mirrored, atol=1e-4)


def test_with_a_hidden_layer_hirescam_weighs_each_place_by_its_gradient() -> None:
    model, pixels = classifier(head_name="mlp"), images()
    explained = METHODS["hirescam"].build(Network(model), None)(pixels, np.ones(3, np.int32))
    # By finite differences of the head at the averaged features.
    features = keras.Model(model.inputs[0], model.get_layer("pooling").output).predict(pixels, verbose=0)
    head, last = model.get_layer("head"), model.get_layer("head").get_layer("probabilities")
    hidden = keras.Model(head.inputs[0], last.input)

    def score(values: np.ndarray) -> np.ndarray:
        return (hidden.predict(values, verbose=0).astype(np.float64) @ last.kernel.numpy())[:, 1]

    step, slopes = 1e-2, np.zeros(features.shape)
    for column in range(features.shape[1]):
        shift = np.zeros(features.shape, np.float32)
        shift[:, column] = step
        slopes[:, column] = (score(features + shift) - score(features - shift)) / (2 * step)
    exact = np.einsum("bhwc,bc->bhw", backbone().predict(pixels, verbose=0), slopes) / 64
    assert np.allclose(explained.maps, resized(exact.astype(np.float32)), atol=0.02 * np.abs(exact).max())


@pytest.mark.parametrize("pool", ["mean", "geometric", "vote"])
def test_an_ensemble_has_the_maps_of_its_members_weighted_as_it_weighs_them(pool: str) -> None:
    members = [classifier(0), classifier(0, levels=True), classifier(5, head_name="mlp", mirror=True)]
    ensemble, pixels = combine(members, [0.5, 0.2, 0.3], method=pool), images()
    wanted = np.asarray([2, 0, 1], np.int32)
    explained = METHODS["hirescam"].build(Network(ensemble), None)(pixels, wanted)
    singly = [METHODS["hirescam"].build(Network(member), None)(pixels, wanted) for member in members]
    expected = 0.5 * singly[0].maps + 0.2 * singly[1].maps + 0.3 * singly[2].maps
    assert np.allclose(explained.maps, expected, atol=1e-5)
    assert np.allclose(explained.probabilities, ensemble.predict(pixels, verbose=0), atol=1e-5)


def test_a_member_without_the_class_has_no_say() -> None:
    members = [classifier(0), classifier(7)]
    ensemble = combine(members, [0.5, 0.5], columns=[(0, 1, 2, None), (None, 0, 1, 2)])
    wanted = np.zeros(3, np.int32)
    explained = METHODS["hirescam"].build(Network(ensemble), None)(images(), wanted)
    alone = METHODS["hirescam"].build(Network(members[0]), None)(images(), wanted)
    assert np.allclose(explained.maps, 0.5 * alone.maps, atol=1e-5)
    assert np.allclose(explained.scores, 0.5 * alone.scores, atol=1e-4)
    assert np.allclose(explained.probabilities, ensemble.predict(images(), verbose=0), atol=1e-5)


def test_stacking_is_explained_by_the_score_of_its_regression() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 1, (2 * CLASSES, CLASSES)).astype(np.float32)
    stack = StackingRegression(kernel=kernel, bias=np.zeros(CLASSES, np.float32))
    ensemble, pixels = combine([classifier(0), classifier(4)], method="stack", stack=stack), images()
    explained = METHODS["hirescam"].build(Network(ensemble), None)(pixels, ANY)
    probabilities = ensemble.predict(pixels, verbose=0)
    assert np.allclose(explained.probabilities, probabilities, atol=1e-5)
    members = keras.Model(ensemble.inputs[0], ensemble.get_layer("members").output).predict(pixels, verbose=0)
    expected = np.log(members).reshape(3, -1) @ kernel
    assert np.allclose(explained.scores, expected[np.arange(3), probabilities.argmax(1)], atol=1e-3)
    assert explained.maps.shape == (3, SIZE, SIZE) and np.abs(explained.maps).max() > 0
