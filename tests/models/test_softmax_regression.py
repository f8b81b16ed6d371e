"""Linear heads as solved problems: scikit-learn's LogisticRegression is the reference for the optimum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.arrays import Doubles, FeatureRows, Labels, Singles
from models.softmax_regression import MAX_ITERATIONS, SolvedHeads, solve, start_at_zero


class Rows:
    """Rows in memory."""

    def __init__(self, rows: FeatureRows) -> None:
        self.rows, self.num_features = rows, rows.shape[1]

    def blocks(self, size: int) -> Iterator[tuple[slice, FeatureRows]]:
        for start in range(0, len(self.rows), size):
            yield slice(start, min(start + size, len(self.rows))), self.rows[start : start + size]


def draw(num_rows: int, num_features: int, num_classes: int, seed: int = 0) -> tuple[FeatureRows, Labels]:
    """Standardised, correlated rows, and labels drawn from a softmax of them; each class occurs."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(num_rows, num_features))
    rows[:, 1:] += 1.5 * rows[:, :1]
    rows = (rows - rows.mean(0)) / rows.std(0)
    logits = rows @ random.normal(size=(num_features, num_classes)) * 2 / np.sqrt(num_features)
    labels = (logits + random.gumbel(size=logits.shape)).argmax(1)
    labels[:num_classes] = np.arange(num_classes)
    return rows.astype(np.float32), labels.astype(np.int32)


def objective(kernel: Doubles, bias: Doubles, rows: FeatureRows, labels: Labels, weights: Doubles, l2: float) -> float:
    """By the definition in the docstring of `solve`, in double precision."""
    logits = rows.astype(np.float64) @ kernel + bias
    logits -= logits.max(1, keepdims=True)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    return float((weights * losses).sum() / weights.sum() + 0.5 * l2 * (kernel**2).sum())


def least_objective(rows: FeatureRows, labels: Labels, weights: Doubles, l2: float) -> float:
    """Of scikit-learn, whose penalty of two classes is on the difference of their kernels."""
    num_classes = int(labels.max()) + 1
    strength = (2 if num_classes == 2 else 1) / l2
    fitted = LogisticRegression(C=strength, max_iter=5000, tol=1e-7).fit(
        rows.astype(np.float64), labels, sample_weight=weights / weights.sum()
    )
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if num_classes == 2:
        kernel, bias = np.concatenate([-kernel, kernel], 1) / 2, np.array([-bias[0], bias[0]]) / 2
    return objective(kernel, bias, rows, labels, weights, l2)


@pytest.mark.parametrize(
    ("num_rows", "num_features", "num_classes"), [(100, 40, 2), (60, 200, 8), (300, 20, 30), (1000, 30, 4)]
)
def test_the_loss_is_within_half_a_percent_of_the_optimum(num_rows: int, num_features: int, num_classes: int) -> None:
    rows, labels = draw(num_rows, num_features, num_classes)
    weights = np.random.default_rng(1).uniform(0.2, 2.0, (2, num_rows))
    weights[1, ::4] = 0  # a fold
    penalties = (1.0, 0.01)
    solved = solve(
        Rows(rows), labels, weights.astype(np.float32), penalties, start_at_zero(num_features, 2, num_classes)
    )
    for head, l2 in enumerate(penalties):
        kernel, bias = solved.weights[:-1, head].astype(np.float64), solved.weights[-1, head].astype(np.float64)
        reached = objective(kernel, bias, rows, labels, weights[head], l2)
        least = least_objective(rows, labels, weights[head], l2)
        assert least * (1 - 1e-6) <= reached <= least * 1.005


@pytest.mark.slow
def test_the_same_holds_for_a_thousand_classes_and_ten_thousand_rows() -> None:
    for num_rows, num_features, num_classes in ((4000, 60, 1000), (10_000, 100, 20)):
        rows, labels = draw(num_rows, num_features, num_classes)
        weights = np.ones((1, num_rows))
        solved = solve(
            Rows(rows), labels, weights.astype(np.float32), [0.01], start_at_zero(num_features, 1, num_classes)
        )
        kernel, bias = solved.weights[:-1, 0].astype(np.float64), solved.weights[-1, 0].astype(np.float64)
        reached = objective(kernel, bias, rows, labels, weights[0], 0.01)
        assert reached <= least_objective(rows, labels, weights[0], 0.01) * 1.005


def test_a_head_does_not_depend_on_its_neighbours_its_start_or_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = draw(300, 20, 4)
    ones = np.ones((3, 300), np.float32)
    together = solve(Rows(rows), labels, ones, [1.0, 0.1, 0.01], start_at_zero(20, 3, 4))
    start = SolvedHeads(weights=together.weights[:, :1], steps=together.steps[:1])
    monkeypatch.setattr("models.softmax_regression.MAX_LOGITS", 4 * 70)  # blocks of 70 rows
    alone = solve(Rows(rows), labels, ones[:1], [0.01], start)
    logits = [heads.logits(rows, number) for heads, number in ((together, 2), (alone, 0))]
    probabilities = [np.exp(values) / np.exp(values).sum(1, keepdims=True) for values in logits]
    assert abs(probabilities[0] - probabilities[1]).max() < 0.02


def test_rows_of_weight_zero_change_nothing() -> None:
    rows, labels = draw(200, 10, 3)
    weights = np.ones((1, 200), np.float32)
    weights[:, 100:] = 0
    spoiled = labels.copy()
    spoiled[100:] = (labels[100:] + 1) % 3
    results: list[Singles] = [
        solve(Rows(rows), answers, weights, [0.01], start_at_zero(10, 1, 3)).weights for answers in (labels, spoiled)
    ]
    assert np.array_equal(results[0], results[1])


def test_without_a_penalty_on_separable_rows_it_ends() -> None:
    rows = np.array([[-1.0], [1.0]], np.float32)
    solved = solve(Rows(rows), np.array([0, 1], np.int32), np.ones((1, 2), np.float32), [0.0], start_at_zero(1, 1, 2))
    assert solved.iterations[0] <= MAX_ITERATIONS
    assert np.isfinite(solved.weights).all()
    assert solved.logits(rows, 0).argmax(1).tolist() == [0, 1]
