"""Export formats: the signatures of a SavedModel, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.export import EXPORTERS, Preprocessing
from pipelines.images.decode import decode_resized
from pipelines.images.resize import resize
from tests.pipelines.pictures import drawn, exif, saved

SIDE = 24
NAMES = ("ant", "bée", "long name")
PREPROCESSING = Preprocessing(decode=decode_resized, resize=resize)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    x = keras.layers.Conv2D(8, 3, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(x))


@pytest.fixture(scope="module")
def signatures(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("export") / "model"
    EXPORTERS["savedmodel"].save(model, folder, NAMES, PREPROCESSING)
    return dict(tf.saved_model.load(str(folder)).signatures)


def test_files_of_any_kind_in_one_batch(model: keras.Model, signatures: dict[str, Any]) -> None:
    contents = [
        saved(drawn(90, 60), "JPEG", exif=b"Exif\0\0" + exif(6)),
        saved(drawn(31, 70, seed=1), "PNG"),
        saved(drawn(400, 300, seed=2).convert("RGBA"), "WEBP"),
        saved(drawn(24, 24, seed=3), "GIF"),
    ]
    outputs = signatures["serving_default"](image_bytes=tf.constant(contents))
    assert set(outputs) == {"probabilities", "class", "class_id"}
    expected = model.predict_on_batch(np.stack([decode_resized(content, SIDE) for content in contents]))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(outputs["class_id"], expected.argmax(1))
    assert [name.decode() for name in outputs["class"].numpy()] == [NAMES[index] for index in expected.argmax(1)]


@pytest.mark.parametrize("shape", [(24, 24), (50, 33), (10, 90)])
def test_pictures_of_any_size(model: keras.Model, signatures: dict[str, Any], shape: tuple[int, int]) -> None:
    images = np.stack([np.asarray(drawn(shape[1], shape[0], seed=seed)) for seed in range(3)])
    expected = model.predict_on_batch(np.stack([resize(tf.constant(image), SIDE) for image in images]))
    outputs = signatures["serve_images"](images=tf.constant(images, tf.float32))
    same = signatures["serve_images_uint8"](images=tf.constant(images))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    np.testing.assert_allclose(same["probabilities"], expected, atol=1e-5)
    assert outputs["class"].shape == (3,)


def test_one_and_many(signatures: dict[str, Any]) -> None:
    content = saved(drawn(), "PNG")
    one = signatures["serving_default"](image_bytes=tf.constant([content]))["probabilities"]
    many = signatures["serving_default"](image_bytes=tf.constant([content] * 9))["probabilities"]
    assert many.shape == (9, 3)
    np.testing.assert_allclose(many, np.tile(one, (9, 1)), atol=1e-5)


def test_a_broken_file_is_an_error_not_an_answer(signatures: dict[str, Any]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["serving_default"](image_bytes=tf.constant([b"no image"]))


def test_keras_file(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / EXPORTERS["keras"].filename
    EXPORTERS["keras"].save(model, path, NAMES, PREPROCESSING)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype(np.float32)
    np.testing.assert_allclose(
        keras.models.load_model(path).predict_on_batch(pixels), model.predict_on_batch(pixels), atol=1e-6
    )
