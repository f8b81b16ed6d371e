"""Features averaged over an image and its mirror image: by definition, on disk, and taken away again."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.backbones import load_backbone
from models.classifier import build_classifier, build_feature_extractor
from models.freezing import freeze
from models.heads import HEADS, Pooling, build_head
from models.levels import add_levels
from models.mirror import without_mirror
from tests.models.engines.tiny import pictures

SIDE, MAPS = 12, 5


def network() -> keras.Model:
    """Random weights: no map of a picture is that of its mirror image."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, layers.Conv2D(MAPS, 2, activation="relu")(x), name="backbone")


def mirrored(images: np.ndarray) -> np.ndarray:
    """Left and right exchanged, by NumPy: (images, height, width, 3)."""
    return np.stack([np.fliplr(image) for image in images])


def pooled(maps: np.ndarray, pooling: Pooling) -> np.ndarray:
    return {"avg": maps.mean((1, 2)), "max": maps.max((1, 2)), "flatten": maps.reshape(len(maps), -1)}[pooling]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_features_are_the_mean_of_both_images(pooling: Pooling, count: int) -> None:
    backbone, images = network(), pictures(count, SIDE)
    of_both = [pooled(backbone.predict_on_batch(side), pooling) for side in (images, mirrored(images))]
    expected = np.mean(of_both, axis=0, dtype=np.float64)
    extractor = build_feature_extractor(backbone, pooling=pooling, mirror=True)
    np.testing.assert_allclose(extractor.predict_on_batch(images), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(of_both[0] - expected).max() > 1e-3  # a single image has other features
    np.testing.assert_allclose(
        extractor.predict_on_batch(mirrored(images)), extractor.predict_on_batch(images), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("has_levels", [False, True])
def test_a_saved_classifier_takes_pixels_and_its_backbone_is_found_in_it(has_levels: bool, tmp_path: Path) -> None:
    plain, images = network(), pictures(2, SIDE)
    backbone = add_levels(plain) if has_levels else plain
    head = build_head(HEADS["linear"], num_features=MAPS + 4 * has_levels, num_classes=3)
    model = build_classifier(backbone, head, mirror=True)
    assert [layer.name for layer in model.layers] == ["pixels", "backbone", "pooling", "head"]
    file = tmp_path / "model.keras"
    model.save(file)
    saved = keras.models.load_model(file)
    np.testing.assert_allclose(saved.predict_on_batch(images), model.predict_on_batch(images), rtol=1e-5)
    found = load_backbone(file)
    assert [layer.name for layer in found.layers] == [layer.name for layer in plain.layers]
    np.testing.assert_allclose(found.predict_on_batch(images), plain.predict_on_batch(images), rtol=1e-5)


def test_nothing_of_a_frozen_backbone_is_trained_under_it() -> None:
    backbone = network()
    freeze(backbone)
    extractor = build_feature_extractor(backbone, mirror=True)
    assert extractor.trainable_weights == []
    assert [weight.path for weight in extractor.weights] == [weight.path for weight in backbone.weights]


def test_the_network_for_one_image_is_found_where_there_is_one() -> None:
    backbone, images = network(), pictures(2, SIDE)
    assert without_mirror(backbone) is None
    single = without_mirror(build_feature_extractor(backbone, mirror=True).get_layer("backbone"))
    assert single is not None
    np.testing.assert_allclose(
        single.predict_on_batch(images), pooled(backbone.predict_on_batch(images), "avg"), rtol=1e-5, atol=1e-6
    )
