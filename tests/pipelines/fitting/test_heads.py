"""A bank finds, unattended, what a careful logistic regression finds; each head stops at its own best epoch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from models.heads import HEADS
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.fitting.candidates import HeadGrid, list_candidates
from pipelines.fitting.heads import FittedHeads, HeadSearch, fit_heads
from pipelines.runs.examples import Example
from pipelines.system.progress import Silent

NUM_CLASSES, NUM_FEATURES = 4, 40


def _features(folder: Path, count: int, seed: int, views: int = 1, noise: float = 3.0) -> Features:
    """Overlapping classes in a few of many features, at scales that differ by a thousand."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(NUM_CLASSES, size=count)
    centres = np.random.default_rng(99).normal(size=(NUM_CLASSES, NUM_FEATURES)) * (np.arange(NUM_FEATURES) < 12)
    scales = np.logspace(-1.5, 1.5, NUM_FEATURES)
    examples = [
        Example(
            path=f"{seed}-{number}",
            label=int(label),
            split="train",
            sha256=hashlib.sha256(f"{seed}-{number}".encode()).hexdigest(),
            source="",
        )
        for number, label in enumerate(labels)
    ]
    stores = ShardStore(folder / f"clean-{seed}"), ShardStore(folder / f"augmented-{seed}")
    for view in range(views):
        rows = (centres[labels] + noise * rng.normal(size=(count, NUM_FEATURES)) + 2) * scales
        stores[view > 0].add([key(each.sha256, view) for each in examples], rows.astype(np.float16))
    return Features(stores, examples, views)


def _fit(train: Features, validation: Features, *, head: str = "linear", count: int = 16) -> FittedHeads:
    return fit_heads(_search(head, count=count), train=train, validation=validation, reporter=Silent())


def _search(head: str, *, count: int, seed: int = 0, epochs: int = 60) -> HeadSearch:
    grid = HeadGrid(head=HEADS[head], num_features=NUM_FEATURES, num_classes=NUM_CLASSES, optimizer="adam")
    return HeadSearch(
        head=grid.head,
        candidates=list_candidates(grid, count=count, seed=seed),
        num_classes=NUM_CLASSES,
        optimizer="adam",
        epochs=epochs,
        seed=seed,
    )


def _rows(part: Features) -> np.ndarray:
    return np.concatenate([rows for _, rows in part.pieces()])


def test_the_best_head_is_as_good_as_the_best_of_a_grid_of_logistic_regressions(tmp_path: Path) -> None:
    train, validation, test = (_features(tmp_path, count, seed) for seed, count in enumerate((400, 300, 2000)))
    fitted = _fit(train, validation)
    found = log_loss(test.labels, fitted.heads[fitted.best].predict_on_batch(_rows(test)))
    scaler = StandardScaler().fit(_rows(train))
    peers = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        peer = LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(_rows(train)), train.labels)
        losses = [
            log_loss(part.labels, peer.predict_proba(scaler.transform(_rows(part)))) for part in (validation, test)
        ]
        peers.append(losses)
    assert found <= min(peers)[1] + 0.01
    # The grid matters: the strengths give different heads, and the best is not the last.
    assert max(losses[1] for losses in peers) > found + 0.02


def test_what_is_reported_of_a_head_is_what_the_head_gives(tmp_path: Path) -> None:
    train, validation = _features(tmp_path, 200, 0), _features(tmp_path, 100, 1)
    fitted = _fit(train, validation, head="mlp", count=4)
    assert fitted.trials[0].number == fitted.best
    validation_losses = [trial.validation_loss for trial in fitted.trials]
    assert validation_losses == sorted(loss for loss in validation_losses if loss is not None)
    for trial in fitted.trials:
        answers = fitted.heads[trial.number].predict_on_batch(_rows(validation))
        np.testing.assert_allclose(answers, fitted.validation[trial.number], atol=2e-4)
        assert log_loss(validation.labels, answers) == pytest.approx(trial.validation_loss, abs=2e-3)
        assert (answers.argmax(1) == validation.labels).mean() == pytest.approx(trial.validation_accuracy, abs=0.011)
    best = fitted.history[fitted.trials[0].best_epoch - 1]
    assert best.validation_loss == pytest.approx(fitted.trials[0].validation_loss, abs=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    train, validation = _features(tmp_path, 150, 0, views=3), _features(tmp_path, 60, 1)

    def weights(seed: int) -> list[np.ndarray]:
        search = _search("mlp", count=3, seed=seed, epochs=3)
        fitted = fit_heads(search, train=train, validation=validation, reporter=Silent())
        return [weight for head in fitted.heads for weight in head.get_weights()]

    first, again, other = weights(5), weights(5), weights(6)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_every_view_is_drawn(tmp_path: Path) -> None:
    train = _features(tmp_path, 5, 0, views=3)
    clean = train.rows(np.arange(5))
    np.testing.assert_array_equal(clean, train.rows(np.arange(5), np.zeros(5, np.int64)))
    assert not np.array_equal(clean, train.rows(np.arange(5), np.asarray([1, 2, 1, 2, 1])))


def test_a_constant_feature_does_no_harm(tmp_path: Path) -> None:
    store = ShardStore(tmp_path / "store")
    examples = [
        Example(path=str(each), label=each % 2, split="train", sha256=f"{each:064x}", source="") for each in range(40)
    ]
    rows = np.zeros((40, NUM_FEATURES), np.float16)
    rows[:, 0] = [each % 2 for each in range(40)]
    rows[:, 1] = 7.0
    store.add([key(each.sha256, 0) for each in examples], rows)
    part = Features((store, store), examples, 1)
    fitted = _fit(part, part)
    assert fitted.trials[0].validation_accuracy == 1.0
    shifted = _rows(part).copy()
    shifted[:, 2] = 1e-3  # a feature that never moved in training
    np.testing.assert_allclose(
        fitted.heads[fitted.best].predict_on_batch(shifted),
        fitted.heads[fitted.best].predict_on_batch(_rows(part)),
        atol=1e-2,
    )


@pytest.mark.parametrize(
    ("head", "count", "values", "expected"),
    [
        ("linear", 64, {}, 16),  # convex: further seeds would be the same heads again
        ("linear", 5, {}, 5),
        ("linear", 64, {"l2": 0.1, "learning_rate": 1e-3}, 1),
        ("linear", 64, {"dropout": 0.5}, 64),
        ("mlp", 64, {}, 64),
        ("mlp", 3, {"l2": 0.0}, 3),
    ],
)
def test_a_bank_holds_as_many_heads_as_differ(head: str, count: int, values: dict[str, float], expected: int) -> None:
    grid = HeadGrid(head=HEADS[head], num_features=8, num_classes=3, optimizer="adam", **values)
    chosen = list_candidates(grid, count=count, seed=1)
    assert len(chosen) == expected == len(set(chosen))
    for name, value in values.items():
        assert {getattr(each, name) for each in chosen} == {value}


def test_thousands_of_classes_make_a_bank_smaller() -> None:
    grid = HeadGrid(head=HEADS["linear"], num_features=2048, num_classes=10_000, optimizer="adam")
    chosen = list_candidates(grid, count=16, seed=0)
    assert len(chosen) == 1
