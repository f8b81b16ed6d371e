"""Penalties judged out of fold: scikit-learn's regressions, fitted fold by fold, are the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from models.arrays import Doubles, Flags, Indices, Labels
from pipelines.features.cached import Features
from pipelines.fitting.head_choice import HeadChoice, choose, fit_to, follow_paths
from pipelines.fitting.penalty_path import Division, Solution, follow_path
from pipelines.fitting.standardised import StandardisedRows
from pipelines.system.progress import Silent
from tests.pipelines.fitting.drawn_features import NUM_CLASSES, draw_features, rows_of

FOLDS = 3


def fold_numbers(count: int) -> Indices:
    return np.arange(count) % FOLDS


def divided(fold_of: Indices, *, is_fitted: Flags | bool = True) -> Division:
    count = len(fold_of)
    return Division(
        fold_of=fold_of.astype(np.intp),
        num_folds=int(fold_of.max()) + 1,
        is_fitted=np.broadcast_to(np.asarray(is_fitted, bool), (count,)),
        weights=np.ones(count, np.float32),
    )


def standardised(features: Features) -> Doubles:
    rows = rows_of(features).astype(np.float64)
    return np.asarray((rows - rows.mean(0)) / rows.std(0))


def by_scikit_learn(rows: Doubles, labels: Labels, inside: Flags, outside: Flags | Indices, l2: float) -> Doubles:
    """Probabilities of the rows outside by a regression on those inside."""
    strength = 1 / (l2 * len(labels[inside]))
    fitted = LogisticRegression(C=strength, max_iter=3000, tol=1e-7).fit(rows[inside], labels[inside])
    return np.asarray(fitted.predict_proba(rows[outside]))


def ignore(solution: Solution) -> None:
    """Nobody watches."""


def test_each_image_is_predicted_by_the_head_of_the_other_folds(tmp_path: Path) -> None:
    features = draw_features(tmp_path, 150, 0)
    folds = fold_numbers(150)
    path = follow_path(StandardisedRows((features,)), divided(folds), [1.0, 0.1], NUM_CLASSES, ignore)
    rows, labels = standardised(features), features.labels
    expected = {}
    for l2 in (1.0, 0.1):
        probabilities = np.zeros((150, NUM_CLASSES))
        for fold in range(FOLDS):
            probabilities[folds == fold] = by_scikit_learn(rows, labels, folds != fold, folds == fold, l2)
        expected[l2] = probabilities
    losses = {l2: log_loss(labels, probabilities) for l2, probabilities in expected.items()}
    for tried in path.tried:
        l2, out_of_fold = tried.l2, tried.out_of_fold
        assert tried.validation is None
        assert out_of_fold is not None
        assert out_of_fold.loss == pytest.approx(losses[l2], rel=0.01)
        assert out_of_fold.accuracy == pytest.approx((expected[l2].argmax(1) == labels).mean(), abs=0.014)
        # The head of all images, on these.
        every = np.full(150, True)
        own = by_scikit_learn(rows, labels, every, every, l2)
        assert tried.training.loss == pytest.approx(log_loss(labels, own), rel=0.02)
        assert tried.training.accuracy == pytest.approx((own.argmax(1) == labels).mean(), abs=0.014)
    assert path.best.l2 == min(losses, key=lambda l2: losses[l2])
    assert path.best.probabilities == pytest.approx(expected[path.best.l2], abs=0.03)


def test_labels_that_mean_nothing_are_predicted_by_chance(tmp_path: Path) -> None:
    features, num_correct = draw_features(tmp_path, 48, 1), 0
    for seed in range(5):
        features.labels = np.random.default_rng(seed).permutation(features.labels)
        path = follow_path(StandardisedRows((features,)), divided(fold_numbers(48)), [1e-4], NUM_CLASSES, ignore)
        num_correct += round(48 * path.best.deciding.accuracy)
        # The heads know the images they are fitted to by heart.
        known = path.best.heads.logits(standardised(features).astype(np.float32), FOLDS).argmax(1)
        assert (known == features.labels).mean() > 0.95
    low, high = binom.interval(0.999, 5 * 48, 1 / NUM_CLASSES)
    assert low <= num_correct <= high


def test_images_that_no_fold_holds_out_are_fitted_and_do_not_judge(tmp_path: Path) -> None:
    features = draw_features(tmp_path, 90, 2)
    folds = fold_numbers(90)
    folds[:10] = -1
    path = follow_path(StandardisedRows((features,)), divided(folds), [0.1], NUM_CLASSES, ignore)
    assert not path.best.probabilities[:10].any()
    rows, labels = standardised(features), features.labels
    judged = np.flatnonzero(folds == 0)
    expected = by_scikit_learn(rows, labels, folds != 0, judged, 0.1)
    assert path.best.probabilities[judged] == pytest.approx(expected, abs=0.03)


def test_a_given_validation_part_is_predicted_by_the_head_of_all_training_images(tmp_path: Path) -> None:
    train, validation = draw_features(tmp_path, 90, 3), draw_features(tmp_path, 30, 4)
    folds = np.concatenate([fold_numbers(90), np.full(30, -1)])
    is_train = np.arange(120) < 90
    rows = StandardisedRows((train, validation))
    path = follow_path(rows, divided(folds, is_fitted=is_train), [0.1], NUM_CLASSES, ignore)
    both = np.concatenate([rows_of(train), rows_of(validation)]).astype(np.float64)
    both = (both - both.mean(0)) / both.std(0)
    labels = np.concatenate([train.labels, validation.labels])
    expected = by_scikit_learn(both, labels, is_train, ~is_train, 0.1)
    assert path.best.probabilities[90:] == pytest.approx(expected, abs=0.03)
    (tried,) = path.tried
    assert tried.validation is not None
    assert tried.out_of_fold is not None
    assert tried.validation.loss == pytest.approx(log_loss(validation.labels, expected), rel=0.01)
    own = by_scikit_learn(both, labels, is_train, is_train, 0.1)
    assert tried.training.loss == pytest.approx(log_loss(train.labels, own), rel=0.02)


def test_all_views_of_an_image_weigh_as_much_as_the_image(tmp_path: Path) -> None:
    once, often = draw_features(tmp_path / "a", 60, 5), draw_features(tmp_path / "b", 60, 5, views=3, noise=0.0)
    same = draw_features(tmp_path / "c", 60, 5, views=1, noise=0.0)
    assert len(once) == len(often) == len(same)
    folds = divided(fold_numbers(60))
    losses = []
    for features in (same, often):  # without noise, all views are alike
        path = follow_path(StandardisedRows((features,)), folds, [1.0], NUM_CLASSES, ignore)
        losses.append(path.best.deciding.loss)
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)


def test_the_chosen_head_is_fitted_to_all_images(tmp_path: Path) -> None:
    features = draw_features(tmp_path, 150, 6)
    rows, division = StandardisedRows((features,)), divided(fold_numbers(150))
    paths = follow_paths(rows, {"last": rows.num_features}, division, [0.3, 0.1], NUM_CLASSES, Silent())
    choice: HeadChoice = choose(paths, division)
    solved = fit_to(division.is_refitted, rows, division, choice)
    everything = np.ones(150, bool)
    expected = by_scikit_learn(standardised(features), features.labels, everything, everything, choice.solution.l2)
    logits = solved.logits(standardised(features).astype(np.float32), 0)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    assert probabilities / probabilities.sum(1, keepdims=True) == pytest.approx(expected, abs=0.02)


def test_rows_that_do_not_fit_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (draw_features(tmp_path, 40, 7, views=2), draw_features(tmp_path, 20, 8))
    kept = StandardisedRows(parts)
    monkeypatch.setattr("pipelines.fitting.standardised.IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("pipelines.fitting.standardised.PIECE", 16)
    read = StandardisedRows(parts)
    assert kept.image_of.tolist() == read.image_of.tolist() == [*range(60), *range(40)]
    for rows in (kept, read):
        values = np.concatenate([block for _, block in rows.blocks(7)])
        assert values.shape == (100, kept.num_features)
        assert values[:60].mean(0) == pytest.approx(0, abs=1e-2)
    assert np.array_equal(
        np.concatenate([block for _, block in kept.blocks(7)]), np.concatenate([block for _, block in read.blocks(7)])
    )
    clean = np.concatenate([block for _, block in read.first(5).clean_blocks(7)])
    assert np.array_equal(clean, np.concatenate([block[:, :5] for _, block in kept.clean_blocks(60)]))
