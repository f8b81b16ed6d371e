"""The faster graph says what the saved model says, or is not used."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.classifier import build
from models.engines import source
from models.ensemble import combine
from models.heads import HEADS, build_head
from models.zoo import BACKBONES
from pipelines.inference.compiled import folded_call, plain_call
from pipelines.system.progress import Silent


class Words(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep it."""
        self.lines.append(text)


def classifier(name: str, seed: int) -> keras.Model:
    """A network of random weights whose normalisation does something: folding it must matter."""
    keras.utils.set_random_seed(seed)
    backbone = build_backbone(BACKBONES[name], weights="none", image_size=64)
    rng = np.random.default_rng(seed)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            shape = mean.shape
            layer.set_weights([gamma, beta, mean + rng.normal(0, 0.1, shape), variance * rng.uniform(0.5, 2.0, shape)])
    head = build_head(HEADS["linear"], num_features=int(backbone.output_shape[-1]), num_classes=4, dropout=0.0)
    return build(backbone, head)


def pixels(count: int) -> Any:
    return np.random.default_rng(3).uniform(0, 255, (count, 64, 64, 3)).astype(np.float32)


def test_the_graph_answers_as_the_model_does_and_the_model_is_asked_once() -> None:
    model, words, asked = classifier("mobilenet_v2", 0), Words(), []
    plain: Any = plain_call(model, None, members=False)

    def counted(images: Any) -> Any:
        asked.append(len(images))
        return plain(images)

    call: Any = folded_call(model, counted, members=False, batch=4, reporter=words)
    for count in (4, 4, 1):
        images = pixels(count)
        np.testing.assert_allclose(call(images), model.predict_on_batch(images), atol=1e-5)
    assert (asked, words.lines) == ([4], [])


def test_of_an_ensemble_the_members_answers_come_too() -> None:
    model = combine([classifier("mobilenet_v2", 1), classifier("mobilenet", 2)], weights=[0.3, 0.7])
    plain: Any = plain_call(model, None, members=True)
    call: Any = folded_call(model, plain, members=True, batch=4, reporter=Silent())
    for count in (4, 3):
        images = pixels(count)
        for found, right in zip(call(images), plain(images), strict=True):
            assert np.shape(found) == np.shape(right)
            np.testing.assert_allclose(found, right, atol=1e-5)


def test_a_graph_that_says_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, words = classifier("mobilenet", 0), Words()
    monkeypatch.setattr(
        "models.engines.graph.function_of", lambda graph: lambda images: np.full((len(images), 4), 0.25)
    )
    call: Any = folded_call(model, plain_call(model, None, members=False), members=False, batch=4, reporter=words)
    for _ in range(2):
        np.testing.assert_allclose(call(pixels(4)), model.predict_on_batch(pixels(4)), atol=1e-6)
    assert len(words.lines) == 1 and "differ" in words.lines[0]


def test_a_graph_that_cannot_be_made_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("too large")

    monkeypatch.setattr(source, "TracedBase", refuse)
    model, words = classifier("mobilenet", 0), Words()
    call: Any = folded_call(model, plain_call(model, None, members=False), members=False, batch=4, reporter=words)
    np.testing.assert_allclose(call(pixels(2)), model.predict_on_batch(pixels(2)), atol=1e-6)
    assert len(words.lines) == 1 and "ValueError" in words.lines[0]
