"""The faster graph gives the saved model's probabilities, or is not used."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.engines import source
from models.ensemble import combine
from models.heads import HEADS, build_head
from models.zoo import BACKBONES
from pipelines.inference.compiled import Outputs, compile_folded, compile_saved
from pipelines.system.progress import Silent


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)


def classifier(name: str, seed: int) -> keras.Model:
    """A network of random weights whose normalisation changes its input: folding it must matter."""
    keras.utils.set_random_seed(seed)
    backbone = build_backbone(BACKBONES[name], weights="none", image_size=64)
    rng = np.random.default_rng(seed)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            shape = mean.shape
            layer.set_weights([gamma, beta, mean + rng.normal(0, 0.1, shape), variance * rng.uniform(0.5, 2.0, shape)])
    head = build_head(HEADS["linear"], num_features=int(backbone.output_shape[-1]), num_classes=4, dropout=0.0)
    return build_classifier(backbone, head)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(0, 255, (count, 64, 64, 3)).astype(np.float32)


def test_the_graph_predicts_as_the_model_does_and_the_model_runs_once() -> None:
    model, notes, sizes = classifier("mobilenet_v2", 0), Notes(), []
    saved = compile_saved(model, None, members=False)

    def counted(images: np.ndarray) -> Outputs:
        sizes.append(len(images))
        return saved(images)

    predict = compile_folded(model, counted, members=False, batch=4, reporter=notes)
    for count in (4, 4, 1):
        images = pixels(count)
        np.testing.assert_allclose(predict(images), model.predict_on_batch(images), atol=1e-5)
    assert (sizes, notes.lines) == ([4], [])


def test_an_ensembles_members_are_outputs_too() -> None:
    model = combine([classifier("mobilenet_v2", 1), classifier("mobilenet", 2)], weights=[0.3, 0.7])
    saved = compile_saved(model, None, members=True)
    predict = compile_folded(model, saved, members=True, batch=4, reporter=Silent())
    for count in (4, 3):
        images = pixels(count)
        for folded, expected in zip(predict(images), saved(images), strict=True):
            assert np.shape(folded) == np.shape(expected)
            np.testing.assert_allclose(folded, expected, atol=1e-5)


def test_a_graph_with_other_probabilities_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, notes = classifier("mobilenet", 0), Notes()
    monkeypatch.setattr(
        "models.engines.graph.function_of", lambda graph: lambda images: np.full((len(images), 4), 0.25)
    )
    predict = compile_folded(model, compile_saved(model, None, members=False), members=False, batch=4, reporter=notes)
    for _ in range(2):
        np.testing.assert_allclose(predict(pixels(4)), model.predict_on_batch(pixels(4)), atol=1e-6)
    assert len(notes.lines) == 1 and "differ" in notes.lines[0]


def test_a_graph_that_cannot_be_built_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("too large")

    monkeypatch.setattr(source, "TracedBase", refuse)
    model, notes = classifier("mobilenet", 0), Notes()
    predict = compile_folded(model, compile_saved(model, None, members=False), members=False, batch=4, reporter=notes)
    np.testing.assert_allclose(predict(pixels(2)), model.predict_on_batch(pixels(2)), atol=1e-6)
    assert len(notes.lines) == 1 and "ValueError" in notes.lines[0]
