"""Heads have the layers that their record describes, and give probabilities in float32."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models.heads import HEADS, Head, build_head, dropout_of, widened


@pytest.mark.parametrize("name", HEADS)
def test_an_entry_is_named_after_its_key_and_builds(name: str) -> None:
    assert HEADS[name].name == name
    head = build_head(HEADS[name], num_features=6, num_classes=4)
    features = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    probabilities = head.predict_on_batch(features)
    assert (head.name, probabilities.shape) == ("head", (5, 4))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("hidden", "batch_norm", "dropout", "names"),
    [
        (0, False, 0.0, ["probabilities"]),
        (0, False, 0.3, ["dropout", "probabilities"]),
        (8, False, 0.0, ["hidden", "relu", "probabilities"]),
        (8, True, 0.3, ["hidden", "norm", "relu", "dropout", "probabilities"]),
    ],
)
def test_layers_follow_the_record(hidden: int, batch_norm: bool, dropout: float, names: list[str]) -> None:
    record = Head(name="toy", hidden=hidden, batch_norm=batch_norm, dropout=dropout, about="")
    head = build_head(record, num_features=6, num_classes=4)
    assert [layer.name for layer in head.layers] == names
    # Weights by hand: kernels, biases (none below a normalisation), and the normalisation's four vectors.
    expected = 6 * 8 + (4 * 8 if batch_norm else 8) + 8 * 4 + 4 if hidden else 6 * 4 + 4
    assert head.count_params() == expected
    if dropout:
        assert head.get_layer("dropout").rate == dropout


def test_a_dropout_that_is_given_replaces_the_heads_own() -> None:
    assert build_head(HEADS["mlp"], num_features=6, num_classes=4, dropout=0.2).get_layer("dropout").rate == 0.2
    without = build_head(HEADS["mlp"], num_features=6, num_classes=4, dropout=0.0)
    assert "dropout" not in [layer.name for layer in without.layers]


def test_probabilities_stay_in_float32_when_the_rest_is_in_half_precision() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        head = build_head(HEADS["mlp"], num_features=6, num_classes=1000)
    finally:
        keras.config.set_dtype_policy("float32")
    assert head.get_layer("hidden").compute_dtype == "float16"
    assert head.predict_on_batch(np.zeros((2, 6), np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", HEADS)
def test_a_wider_head_ignores_what_it_does_not_know(name: str) -> None:
    head, random = HEADS[name], np.random.default_rng(0)
    model = build_head(head, num_features=5, num_classes=3, dropout=0.4)
    model.set_weights([random.uniform(0.1, 1.0, weight.shape) for weight in model.get_weights()])
    wider = widened(model, head, 8)
    rows = random.normal(size=(4, 8)).astype(np.float32)
    expected = model(rows[:, :5], training=False)
    np.testing.assert_allclose(wider(rows, training=False), expected, rtol=1e-5)
    assert dropout_of(wider) == dropout_of(model)
    assert widened(model, head, 5) is model
