"""Heads in steps, cross-validated: no head sees its fold, and the losses of all folds choose head and epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.arrays import Indices, Labels
from models.heads import HEADS, Candidate
from pipelines.features.cached import Features
from pipelines.fitting.bank_epochs import HeadSearch
from pipelines.fitting.candidates import HeadGrid, list_candidates
from pipelines.fitting.heads import FoldHeads, fit_fold_heads, predict_features
from pipelines.system.progress import Silent
from tests.pipelines.fitting.drawn_features import NUM_CLASSES, NUM_FEATURES, draw_features, rows_of, store_features


def fit(images: Features, fold_of: Indices, search: HeadSearch) -> FoldHeads:
    return fit_fold_heads(search, images, fold_of, weights=np.ones(len(images), np.float32), reporter=Silent())


def search_for(head: str, *, count: int, epochs: int) -> HeadSearch:
    grid = HeadGrid(head=HEADS[head], num_features=NUM_FEATURES, num_classes=NUM_CLASSES, optimizer="adam")
    return HeadSearch(
        head=grid.head,
        candidates=list_candidates(grid, count=count, seed=0),
        num_classes=NUM_CLASSES,
        optimizer="adam",
        epochs=epochs,
        seed=0,
    )


def three_folds(count: int) -> Indices:
    return np.arange(count, dtype=np.intp) % 3


def relabelled(folder: Path, images: Features, labels: Labels) -> Features:
    return store_features(folder, labels, rows_of(images))


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_no_head_sees_the_images_that_its_fold_holds_out(tmp_path: Path, head: str) -> None:
    images, fold_of = draw_features(tmp_path, 90, seed=1), three_folds(90)
    others = np.where(fold_of == 0, (images.labels + 1) % NUM_CLASSES, images.labels).astype(np.int32)
    # One epoch of one candidate: nothing that is left to choose can depend on the images.
    search = search_for(head, count=1, epochs=1)
    plain, other_labels = (fit(part, fold_of, search) for part in (images, relabelled(tmp_path / "x", images, others)))
    is_held_out = fold_of == 0
    np.testing.assert_array_equal(plain.probabilities[is_held_out], other_labels.probabilities[is_held_out])
    assert not np.array_equal(plain.probabilities[~is_held_out], other_labels.probabilities[~is_held_out])
    of_head = [one.head.predict_on_batch(rows_of(images)) for one in (plain, other_labels)]
    assert not np.array_equal(*of_head), "the head that is kept sees all images"


def test_the_loss_that_chooses_is_that_of_the_predictions_out_of_fold(tmp_path: Path) -> None:
    images, fold_of = draw_features(tmp_path, 240, seed=2), three_folds(240)
    fitted = fit(images, fold_of, search_for("mlp", count=3, epochs=12))
    best = fitted.trials[0]
    assert best.validation_loss == pytest.approx(log_loss(images.labels, fitted.probabilities), abs=1e-4)
    accuracy = (fitted.probabilities.argmax(1) == images.labels).mean()
    assert best.validation_accuracy == pytest.approx(accuracy, abs=1e-5)
    assert best.best_epoch is not None
    assert best.validation_loss is not None
    losses = [record.validation_loss or np.inf for record in fitted.history]
    assert losses[best.best_epoch - 1] == pytest.approx(best.validation_loss, abs=1e-5)
    # The best of its own epochs, up to the least gain that counts.
    assert best.validation_loss <= min(losses) + 1e-3
    assert best.validation_loss == min(trial.validation_loss or np.inf for trial in fitted.trials)


def test_it_is_as_good_as_cross_validated_regressions(tmp_path: Path) -> None:
    images, fold_of = draw_features(tmp_path, 400, seed=3), three_folds(400)
    fitted = fit(images, fold_of, search_for("linear", count=16, epochs=150))
    folds = [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(3)]
    references = []
    for strength in np.logspace(-4, 1, 6):
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        predicted = cross_val_predict(regression, rows_of(images), images.labels, cv=folds, method="predict_proba")
        references.append(log_loss(images.labels, predicted))
    assert fitted.trials[0].validation_loss == pytest.approx(min(references), abs=0.02)
    assert max(references) > min(references) + 0.05, "the strengths have to matter"


def test_shuffled_labels_are_predicted_by_chance_out_of_fold(tmp_path: Path) -> None:
    images, fold_of = draw_features(tmp_path, 400, seed=4), three_folds(400)
    shuffled = relabelled(tmp_path / "shuffled", images, np.random.default_rng(5).permutation(images.labels))
    fitted = fit(shuffled, fold_of, search_for("mlp", count=2, epochs=10))
    accuracy = (fitted.probabilities.argmax(1) == shuffled.labels).mean()
    chance = np.bincount(shuffled.labels).max() / 400
    spread = 3 * np.sqrt(chance * (1 - chance) / 400)
    assert accuracy < chance + spread
    seen = (predict_features(fitted.head, shuffled).argmax(1) == shuffled.labels).mean()
    assert seen > chance + spread, "the head that is kept was fitted to these images"


def test_an_image_that_no_fold_holds_out_is_predicted_by_the_head_of_all(tmp_path: Path) -> None:
    images, fold_of = draw_features(tmp_path, 60, seed=6), three_folds(60)
    fold_of[:5] = -1
    fitted = fit(images, fold_of, search_for("linear", count=1, epochs=3))
    of_all = predict_features(fitted.head, images)
    np.testing.assert_array_equal(fitted.probabilities[:5], of_all[:5])
    assert not np.allclose(fitted.probabilities[5:], of_all[5:])


def test_weights_of_zero_leave_images_out_of_every_head(tmp_path: Path) -> None:
    images, fold_of = draw_features(tmp_path, 90, seed=7), three_folds(90)
    weights = np.where(np.arange(90) < 20, 0, 1).astype(np.float32)
    others = np.where(np.arange(90) < 20, (images.labels + 1) % NUM_CLASSES, images.labels).astype(np.int32)
    search = HeadSearch(
        head=HEADS["linear"],
        candidates=(Candidate(l2=0.01, learning_rate=0.01, dropout=0.0, seed=0),),
        num_classes=NUM_CLASSES,
        optimizer="adam",
        epochs=1,
        seed=0,
    )
    first, second = (
        fit_fold_heads(search, part, fold_of, weights=weights, reporter=Silent())
        for part in (images, relabelled(tmp_path / "x", images, others))
    )
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
