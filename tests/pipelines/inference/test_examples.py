"""Labelled images are predicted alike from cached features and from pixels, and features are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from models.classifier import build_classifier
from models.heads import HEADS, build_head
from pipelines.inference.examples import frozen_bases, predict_examples
from pipelines.runs.examples import Example
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import BackboneRecord, BaseRecord, Manifest, RunRequest
from pipelines.runs.models import save_model
from pipelines.runs.spec import DataSpec, NetworkSpec, TrainSpec
from pipelines.system.progress import Silent
from tests.pipelines.manifests import manifest_with
from tests.pipelines.pictures import sha256_of

SIDE = 16
NAMES = ("cat", "dog", "fox")
SPEC = TrainSpec(out="run", data=DataSpec(path="/photos"), network=NetworkSpec(engine="keras"))
FROZEN = BackboneRecord(name="small", weights="imagenet", parameters=1, weights_sha256="5" * 64)


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small convolutional backbone of random weights under a linear head."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIDE, SIDE, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    backbone = keras.Model(pixels, keras.layers.Conv2D(8, 3, activation="relu")(scaled), name="backbone")
    return build_classifier(backbone, build_head(HEADS["linear"], num_features=8, num_classes=3, dropout=0.0))


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """Forty noise images."""
    generator = np.random.default_rng(1)
    drawn = []
    for number in range(40):
        path = tmp_path / f"{number:02d}.png"
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
        drawn.append(Example(path=str(path), label=number % 3, split="test", sha256=sha256_of(path), source=str(path)))
    return drawn


def finished(folder: Path, model: keras.Model, manifest: Manifest) -> str:
    folder.mkdir()
    save_model(model, folder)
    finish_run(folder, manifest)
    return str(folder)


def test_cached_features_and_pixels_give_the_same_probabilities(
    tmp_path: Path, model: keras.Model, examples: list[Example]
) -> None:
    manifest = manifest_with(class_names=NAMES, image_size=SIDE, backbone=FROZEN, spec=RunRequest(train=SPEC))
    run = finished(tmp_path / "run", model, manifest)
    expected = model.predict_on_batch(
        np.stack([np.asarray(Image.open(example.path), np.float32) for example in examples])
    )
    exact, how = predict_examples(run, manifest, examples, cache=False, reporter=Silent())
    assert how == "the saved model, float32"
    np.testing.assert_allclose(exact, expected, atol=1e-5)
    notes = Notes()
    cached, how = predict_examples(run, manifest, examples, cache=True, reporter=notes)
    assert how == "cached features (keras, float32)"
    # Cached features are float16.
    np.testing.assert_allclose(cached, expected, atol=2e-3)
    again, _ = predict_examples(run, manifest, list(reversed(examples)), cache=True, reporter=notes)
    np.testing.assert_allclose(again, cached[::-1], atol=1e-6)
    features = [line for line in notes.lines if "cached" in line]
    assert [("0 cached, 40 new" in line, "40 cached, 0 new" in line) for line in features] == [
        (True, False),
        (False, True),
    ]


def test_a_run_whose_engine_is_missing_here_is_predicted_with_another(
    tmp_path: Path, model: keras.Model, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = replace(FROZEN, weights_sha256="4" * 64)
    spec = replace(SPEC, network=NetworkSpec(engine="openvino"))
    manifest = manifest_with(class_names=NAMES, image_size=SIDE, backbone=frozen, spec=RunRequest(train=spec))
    run = finished(tmp_path / "run", model, manifest)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    notes = Notes()
    cached, how = predict_examples(run, manifest, examples, cache=True, reporter=notes)
    exact, _ = predict_examples(run, manifest, examples, cache=False, reporter=notes)
    assert "openvino" not in how
    assert any("`openvino` is not installed" in line for line in notes.lines)
    np.testing.assert_allclose(cached, exact, atol=2e-3)


def test_a_frozen_backbone_is_a_base_and_a_trained_one_is_not() -> None:
    (base,) = frozen_bases(manifest_with(image_size=SIDE, backbone=FROZEN, spec=RunRequest(train=SPEC)))
    assert base == BaseRecord(
        backbone_layer="backbone",
        pooling_layer="pooling",
        backbone="small",
        weights_sha256="5" * 64,
        image_size=SIDE,
        pooling="avg",
        engine="keras",
    )
    assert frozen_bases(manifest_with(backbone=BackboneRecord(name="small", weights="none", parameters=1))) == ()


def test_the_bases_of_an_ensemble_are_those_of_its_manifest(
    tmp_path: Path, model: keras.Model, examples: list[Example]
) -> None:
    record = BaseRecord(
        backbone_layer="backbone",
        pooling_layer="pooling",
        backbone="small",
        weights_sha256="6" * 64,
        image_size=SIDE,
        pooling="avg",
        engine="keras",
    )
    manifest = manifest_with(class_names=NAMES, image_size=SIDE, bases=(record,))
    assert frozen_bases(manifest) == (record,)
    run = finished(tmp_path / "run", model, manifest)
    cached, how = predict_examples(run, manifest, examples[:5], cache=True, reporter=Silent())
    exact, _ = predict_examples(run, manifest, examples[:5], cache=False, reporter=Silent())
    assert how.startswith("cached features")
    np.testing.assert_allclose(cached, exact, atol=2e-3)
