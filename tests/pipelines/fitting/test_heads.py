"""A bank of heads is as good as a tuned logistic regression; each head stops at its own best epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from models.bank import Bank
from models.heads import HEADS, Candidate
from pipelines.features.cached import Features
from pipelines.fitting.bank_epochs import HeadSearch
from pipelines.fitting.candidates import HeadGrid, list_candidates
from pipelines.fitting.heads import FittedHeads, fit_heads
from pipelines.system.progress import Silent
from tests.pipelines.fitting.drawn_features import NUM_CLASSES, NUM_FEATURES, draw_features, rows_of, store_features


def fit(train: Features, validation: Features, *, head: str = "linear", count: int = 16) -> FittedHeads:
    return fit_heads(search_for(head, count=count), train=train, validation=validation, reporter=Silent())


def search_for(head: str, *, count: int, seed: int = 0, epochs: int = 60) -> HeadSearch:
    grid = HeadGrid(head=HEADS[head], num_features=NUM_FEATURES, num_classes=NUM_CLASSES, optimizer="adam")
    return HeadSearch(
        head=grid.head,
        candidates=list_candidates(grid, count=count, seed=seed),
        num_classes=NUM_CLASSES,
        optimizer="adam",
        epochs=epochs,
        seed=seed,
    )


def one_head(*, epochs: int, learning_rate: float, num_classes: int = 2) -> HeadSearch:
    """A linear head without a penalty."""
    candidate = Candidate(l2=0.0, learning_rate=learning_rate, dropout=0.0, seed=0)
    return HeadSearch(
        head=HEADS["linear"],
        candidates=(candidate,),
        num_classes=num_classes,
        optimizer="adam",
        epochs=epochs,
        seed=0,
    )


class Notes(Silent):
    """A reporter that collects notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_the_best_head_is_as_good_as_the_best_of_a_grid_of_logistic_regressions(tmp_path: Path) -> None:
    train, validation, test = (draw_features(tmp_path, count, seed) for seed, count in enumerate((400, 300, 2000)))
    fitted = fit(train, validation)
    loss = log_loss(test.labels, fitted.heads[fitted.best].predict_on_batch(rows_of(test)))
    scaler = StandardScaler().fit(rows_of(train))
    references = []
    for strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        regression = LogisticRegression(C=strength, max_iter=1000)
        regression.fit(scaler.transform(rows_of(train)), train.labels)
        references.append(
            [
                log_loss(part.labels, regression.predict_proba(scaler.transform(rows_of(part))))
                for part in (validation, test)
            ]
        )
    assert loss <= min(references)[1] + 0.01
    # The grid matters: the strengths give different heads, and the best is not the last.
    assert max(losses[1] for losses in references) > loss + 0.02


def test_the_scores_of_a_trial_are_those_of_its_head(tmp_path: Path) -> None:
    train, validation = draw_features(tmp_path, 200, 0), draw_features(tmp_path, 100, 1)
    fitted = fit(train, validation, head="mlp", count=4)
    assert fitted.trials[0].number == fitted.best
    validation_losses = [trial.validation_loss for trial in fitted.trials]
    assert validation_losses == sorted(loss for loss in validation_losses if loss is not None)
    for trial in fitted.trials:
        probabilities = fitted.heads[trial.number].predict_on_batch(rows_of(validation))
        assert log_loss(validation.labels, probabilities) == pytest.approx(trial.validation_loss, abs=2e-3)
        accuracy = (probabilities.argmax(1) == validation.labels).mean()
        assert accuracy == pytest.approx(trial.validation_accuracy, abs=0.011)
    best_epoch = fitted.trials[0].best_epoch
    assert best_epoch is not None
    best = fitted.history[best_epoch - 1]
    assert best.validation_loss == pytest.approx(fitted.trials[0].validation_loss, abs=1e-4)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_judging_in_small_blocks_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    train, validation = draw_features(tmp_path, 200, 0), draw_features(tmp_path, 101, 1)
    whole = fit(train, validation, head=head, count=4)
    sizes: list[int] = []
    judge = Bank.judge

    def recording_judge(bank: Bank, features: Any, labels: Any) -> Any:
        sizes.append(len(features))
        return judge(bank, features, labels)

    monkeypatch.setattr(Bank, "judge", recording_judge)
    monkeypatch.setattr("pipelines.fitting.bank_epochs.VALIDATION_LOGITS", 4 * NUM_CLASSES * 7)
    blocks = fit(train, validation, head=head, count=4)
    assert set(sizes) == {7, 101 % 7}
    for one, other in zip(whole.trials, blocks.trials, strict=True):
        assert (one.number, one.best_epoch) == (other.number, other.best_epoch)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=2e-5)
        assert one.validation_accuracy == other.validation_accuracy
    for number in range(4):
        for weight, other_weight in zip(*(f.heads[number].get_weights() for f in (whole, blocks)), strict=True):
            np.testing.assert_array_equal(weight, other_weight)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    train, validation = draw_features(tmp_path, 150, 0, views=3), draw_features(tmp_path, 60, 1)

    def weights(seed: int) -> list[np.ndarray]:
        search = search_for("mlp", count=3, seed=seed, epochs=3)
        fitted = fit_heads(search, train=train, validation=validation, reporter=Silent())
        return [weight for head in fitted.heads for weight in head.get_weights()]

    first, again, other = weights(5), weights(5), weights(6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_view_is_drawn(tmp_path: Path) -> None:
    train = draw_features(tmp_path, 5, 0, views=3)
    clean = train.rows(np.arange(5))
    np.testing.assert_array_equal(clean, train.rows(np.arange(5), np.zeros(5, np.int64)))
    assert not np.array_equal(clean, train.rows(np.arange(5), np.asarray([1, 2, 1, 2, 1])))


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_constant_feature_does_no_harm(tmp_path: Path, head: str) -> None:
    labels = np.arange(40) % 2
    rows = np.zeros((40, NUM_FEATURES), np.float16)
    rows[:, 0] = labels
    rows[:, 1] = 7.0
    part = store_features(tmp_path, labels, rows)
    fitted = fit(part, part, head=head, count=4)
    assert fitted.trials[0].validation_accuracy == 1.0
    shifted = rows_of(part).copy()
    shifted[:, 2] = 1e-3  # a feature that was constant in training
    np.testing.assert_allclose(
        fitted.heads[fitted.best].predict_on_batch(shifted),
        fitted.heads[fitted.best].predict_on_batch(rows_of(part)),
        atol=1e-2,
    )


def test_every_epoch_draws_a_view_of_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = draw_features(tmp_path, 60, 0, views=3), draw_features(tmp_path, 60, 1)
    drawn: list[tuple[list[int], list[int]]] = []
    read = train.rows

    def recording_rows(images: Any, views: Any = None) -> Any:
        if views is not None:
            drawn.append((images.tolist(), views.tolist()))
        return read(images, views)

    monkeypatch.setattr(train, "rows", recording_rows)
    fit_heads(search_for("linear", count=1, epochs=3), train=train, validation=validation, reporter=Silent())
    assert len(drawn) == 3, "60 images are one batch"
    assert all(sorted(images) == list(range(60)) for images, _ in drawn)
    assert all(set(views) == {0, 1, 2} for _, views in drawn)
    assert drawn[0] != drawn[1] != drawn[2]


@pytest.mark.parametrize("by", ["class", "image"])
def test_weights_count_in_the_loss(tmp_path: Path, by: str) -> None:
    """Without information in the features, a head learns the weighted frequencies of the classes."""
    labels, weights = np.array([0, 1] * 20), np.array([1.5, 0.5], np.float32)
    train = store_features(tmp_path / "train", labels, np.zeros((40, 3)))
    validation = store_features(tmp_path / "validation", [0, 0, 0, 1], np.zeros((4, 3)))
    named: dict[str, Any] = {"class_weights": weights} if by == "class" else {"sample_weights": weights[labels]}
    search = one_head(epochs=60, learning_rate=0.05)
    for values, expected in ((named, [0.75, 0.25]), ({}, [0.5, 0.5])):
        fitted = fit_heads(search, train=train, validation=validation, reporter=Silent(), **values)
        (probabilities,) = fitted.heads[0].predict_on_batch(np.zeros((1, 3), np.float32))
        np.testing.assert_allclose(probabilities, expected, atol=0.02)


def test_images_without_weight_change_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=80)
    rows = labels[:, None] + 0.3 * rng.normal(size=(80, 4))
    is_mislabelled = np.arange(80) < 50
    train = store_features(tmp_path / "train", np.where(is_mislabelled, 1 - labels, labels), rows)
    validation = store_features(tmp_path / "validation", labels, rows)
    search = one_head(epochs=30, learning_rate=0.05)
    weights = np.where(is_mislabelled, 0.0, 1.0).astype(np.float32)
    fitted = fit_heads(search, train=train, validation=validation, sample_weights=weights, reporter=Silent())
    assert fitted.trials[0].validation_accuracy > 0.9
    assert fitted.history[0].loss == pytest.approx(np.log(2), rel=1e-5)


def test_the_note_shows_the_best_head(tmp_path: Path) -> None:
    train, validation = draw_features(tmp_path, 100, 0), draw_features(tmp_path, 60, 1)
    reporter = Notes()
    fitted = fit_heads(search_for("linear", count=16, epochs=4), train=train, validation=validation, reporter=reporter)
    best = fitted.trials[0]
    assert best.validation_loss is not None
    assert reporter.notes == [
        f"best of 16 heads: l2 {best.l2:g}, learning rate {best.learning_rate:g}, dropout 0, epoch "
        f"{best.best_epoch} of 4: validation loss {best.validation_loss:.4f}, "
        f"accuracy {best.validation_accuracy:.4f}"
    ]


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_search_in_which_all_heads_diverge_says_so(tmp_path: Path) -> None:
    train, validation = draw_features(tmp_path, 40, 0), draw_features(tmp_path, 40, 1)
    reporter = Notes()
    search = one_head(epochs=2, learning_rate=float("inf"), num_classes=NUM_CLASSES)
    fitted = fit_heads(search, train=train, validation=validation, reporter=reporter)
    assert fitted.trials[0].validation_loss is None
    assert reporter.notes == [
        "head: l2 0, learning rate inf, dropout 0, epoch 0 of 2: validation loss not finite, accuracy 0.0000"
    ]
