"""A bank's heads are what the same heads trained alone would be."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from models.bank import Bank
from models.heads import HEADS, Candidate, Head

Floats = NDArray[np.float32]
NUM_FEATURES, NUM_CLASSES = 12, 3


def _data(count: int = 120) -> tuple[Floats, NDArray[np.int32]]:
    rng = np.random.default_rng(3)
    labels = rng.integers(NUM_CLASSES, size=count).astype(np.int32)
    centres = rng.normal(size=(NUM_CLASSES, NUM_FEATURES))
    features = centres[labels] + rng.normal(scale=1.5, size=(count, NUM_FEATURES))
    return (5 * features + 40).astype(np.float32), labels


def _candidate(*, l2: float = 0.0, learning_rate: float = 1e-2, dropout: float = 0.0, seed: int = 0) -> Candidate:
    return Candidate(l2=l2, learning_rate=learning_rate, dropout=dropout, seed=seed)


def _bank(head: Head, candidates: tuple[Candidate, ...], optimizer: str = "adam") -> Bank:
    features, _ = _data()
    keras.utils.set_random_seed(0)
    return Bank(
        head,
        candidates,
        num_classes=NUM_CLASSES,
        optimizer=optimizer,  # type: ignore[arg-type]
        mean=features.mean(0),
        scale=features.std(0),
    )


def _fit(bank: Bank, steps: int = 20) -> None:
    features, labels = _data()
    for step in range(steps):
        picked = np.random.default_rng(step).permutation(len(labels))[:40]
        bank.step(features[picked], labels[picked], np.ones(40, np.float32))


def test_a_step_gives_losses_and_shares_predicted_correctly_by_the_weights_before_it() -> None:
    features, labels = _data()
    bank = _bank(HEADS["linear"], (_candidate(learning_rate=1e-2, seed=1), _candidate(learning_rate=0.1, seed=2)))
    _fit(bank)
    weights = np.arange(len(labels), dtype=np.float32)
    logits = _logits(bank, features)
    expected = [(weights * (row.argmax(-1) == labels)).sum() / weights.sum() for row in logits]
    losses, shares = bank.step(features, labels, weights)
    np.testing.assert_allclose(shares, expected, rtol=1e-5)
    assert losses.shape == (2,)


def _logits(bank: Bank, features: Floats) -> Floats:
    """Logits (heads, batch, classes)."""
    return np.moveaxis(bank.model((features - bank.mean) / bank.scale).numpy(), 1, 0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_each_head_is_what_it_would_be_alone(name: str, optimizer: str) -> None:
    head = Head(name=name, hidden=8 if name == "mlp" else 0, batch_norm=name == "mlp", dropout=0.0, about="")
    candidates = (
        _candidate(l2=0.0, learning_rate=1e-2, seed=1),
        _candidate(l2=0.3, learning_rate=1e-2, seed=2),
        _candidate(l2=0.01, learning_rate=1e-3, seed=3),
    )
    together = _bank(head, candidates, optimizer)
    _fit(together)
    features, _ = _data()
    for number, candidate in enumerate(candidates):
        alone = _bank(head, (candidate,), optimizer)
        _fit(alone)
        np.testing.assert_allclose(
            _logits(together, features)[number], _logits(alone, features)[0], rtol=1e-3, atol=1e-4
        )
    # Different strengths and rates do give different heads.
    first, second, third = _logits(together, features)
    assert np.abs(first - second).max() > 1e-2
    assert np.abs(first - third).max() > 1e-2


@pytest.mark.parametrize(
    "head",
    [
        HEADS["linear"],
        HEADS["mlp"],
        Head(name="mlp", hidden=8, batch_norm=False, dropout=0.2, about=""),
    ],
    ids=["linear", "mlp", "mlp without normalisation"],
)
def test_a_head_taken_out_of_the_bank_gives_the_same_probabilities_on_raw_features(head: Head) -> None:
    bank = _bank(head, (_candidate(seed=1), _candidate(l2=0.1, dropout=0.5, seed=2)))
    _fit(bank)
    features, _ = _data()
    logits = _logits(bank, features)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    expected = powers / powers.sum(-1, keepdims=True)
    for number in range(2):
        plain = bank.head_model(number, bank.state())
        assert [type(layer).__module__.split(".")[0] for layer in plain.layers] == ["keras"] * len(plain.layers)
        np.testing.assert_allclose(plain.predict_on_batch(features), expected[number], atol=1e-5)


def test_a_head_whose_rate_is_zero_does_not_move_and_the_others_do() -> None:
    bank = _bank(HEADS["linear"], (_candidate(), _candidate()))
    _fit(bank, 3)
    bank.rates[0] = 0.0
    before = bank.state()[0].copy()
    _fit(bank, 3)
    after = bank.state()[0]
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).max() > 1e-4


def test_an_image_of_weight_zero_might_as_well_not_be_there() -> None:
    features, labels = _data()
    weighted, without = _bank(HEADS["linear"], (_candidate(l2=0.1),)), _bank(HEADS["linear"], (_candidate(l2=0.1),))
    kept = labels != 1
    for _ in range(10):
        weighted.step(features, labels, kept.astype(np.float32))
        without.step(features[kept], labels[kept], np.ones(int(kept.sum()), np.float32))
    np.testing.assert_allclose(_logits(weighted, features), _logits(without, features), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("hidden", [0, NUM_FEATURES, NUM_CLASSES])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("count", [NUM_FEATURES, NUM_CLASSES])
def test_as_many_heads_as_features_units_or_classes_are_not_confused(hidden: int, batch_norm: bool, count: int) -> None:
    head = Head(name="toy", hidden=hidden, batch_norm=batch_norm and hidden > 0, dropout=0.0, about="")
    candidates = tuple(_candidate(l2=0.02 * number, learning_rate=1e-2, seed=number) for number in range(count))
    bank = _bank(head, candidates)
    _fit(bank, 5)
    features, _ = _data()
    state, logits = bank.state(), _logits(bank, features)
    for number in (0, 1, count - 1):
        expected = softmax(logits[number], axis=-1)
        np.testing.assert_allclose(bank.head_model(number, state).predict_on_batch(features), expected, atol=1e-5)
        alone = _bank(head, (candidates[number],))
        _fit(alone, 5)
        np.testing.assert_allclose(logits[number], _logits(alone, features)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_the_judgement_of_a_batch_is_that_of_its_probabilities(name: str) -> None:
    candidates = tuple(_candidate(l2=l2, learning_rate=0.05) for l2 in (0.0, 3.0))
    bank = _bank(HEADS[name], candidates)
    _fit(bank, 5)
    features, labels = _data(50)
    losses, is_correct = bank.judge(features, labels)
    probabilities = softmax(_logits(bank, features).astype(np.float64), axis=-1)
    np.testing.assert_allclose(losses, -np.log(probabilities[:, np.arange(50), labels]), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(is_correct, probabilities.argmax(-1) == labels)
    assert 0 < is_correct.mean() < 1
