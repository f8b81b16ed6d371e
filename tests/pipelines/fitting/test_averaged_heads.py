"""The best heads of two sets are averaged in the shares of the least loss out of fold, as one linear head."""

from __future__ import annotations

from pathlib import Path as FilePath

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from models.arrays import Doubles, Labels
from models.softmax_regression import start_at_zero
from pipelines.evaluation.metrics import losses
from pipelines.fitting.averaged_heads import average_heads
from pipelines.fitting.head_choice import HeadChoice, choose, fit_to, follow_paths
from pipelines.fitting.penalty_path import Division, Judgement, Path, Solution
from pipelines.fitting.standardised import StandardisedRows
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.system.progress import Silent
from tests.pipelines.fitting.drawn_features import NUM_CLASSES, draw_features, rows_of

NUM_IMAGES, NUM_GIVEN = 400, 200


def divided(*, has_given: bool = False) -> Division:
    """Five folds of 400 images; with a given validation part, its images are the last 200."""
    count = NUM_IMAGES + NUM_GIVEN * has_given
    places = np.arange(count)
    return Division(
        fold_of=np.where(places < NUM_IMAGES, places % 5, -1),
        num_folds=5,
        is_fitted=places < NUM_IMAGES,
        weights=np.ones(count, np.float32),
    )


def solved(logits: Doubles, labels: Labels, division: Division, l2: float = 0.1) -> Path:
    """A path whose best head gives such logits."""
    probabilities = softmax(logits, axis=-1).astype(np.float32)
    by_image = losses(probabilities, labels)

    def judgement(is_judged: np.ndarray) -> Judgement | None:
        return Judgement(loss=float(by_image[is_judged].mean()), accuracy=0.5) if is_judged.any() else None

    best = Solution(
        l2=l2,
        heads=start_at_zero(1, 6, 3),
        probabilities=probabilities,
        losses=by_image,
        out_of_fold=judgement(division.is_held_out),
        validation=judgement(division.is_validation),
        training=Judgement(loss=0.0, accuracy=1.0),
    )
    return Path(tried=(), best=best, best_on_validation=None)


def draw_logits(labels: Labels, rng: np.random.Generator, noise: float) -> Doubles:
    """Logits that know the class, with errors of their own."""
    return 2.0 * np.eye(3)[labels] + rng.normal(0, noise, (len(labels), 3))


def averaged(paths: dict[FeatureLayers, Path], division: Division, labels: Labels) -> tuple[HeadChoice, HeadChoice]:
    """The choice between the sets, and what averaging makes of it."""
    choice = choose(paths, division)
    return choice, average_heads(choice, paths, division, labels)


@pytest.mark.parametrize("noises", [(1.5, 1.5), (1.0, 2.0), (2.0, 1.0)])
def test_shares_are_those_of_the_least_loss_out_of_fold(noises: tuple[float, float]) -> None:
    rng, division = np.random.default_rng(4), divided()
    labels = rng.integers(0, 3, NUM_IMAGES).astype(np.int32)
    logits = [draw_logits(labels, rng, noise) for noise in noises]
    paths: dict[FeatureLayers, Path] = {
        "last": solved(logits[0], labels, division),
        "levels": solved(logits[1], labels, division),
    }
    alone, both = averaged(paths, division, labels)
    by_share = {
        share: log_loss(labels, softmax(share * logits[0] + (1 - share) * logits[1], axis=-1))
        for share in np.linspace(0, 1, 201)
    }
    best = min(by_share, key=lambda share: by_share[share])
    assert [part.features for part in both.parts] == ["last", "levels"]
    assert both.parts[0].share == pytest.approx(best, abs=0.02)
    assert sum(part.share for part in both.parts) == pytest.approx(1)
    assert both.loss == pytest.approx(by_share[best], abs=1e-4)
    assert both.loss < alone.loss
    assert both.features == "levels"  # its features hold those of both
    expected = softmax(best * logits[0] + (1 - best) * logits[1], axis=-1)
    np.testing.assert_allclose(both.solution.probabilities, expected, atol=0.02)
    assert "averaged" in both.line and f"{alone.loss:.4f} alone" in both.line


def test_a_head_that_misleads_has_no_part() -> None:
    rng, division = np.random.default_rng(4), divided()
    labels = rng.integers(0, 3, NUM_IMAGES).astype(np.int32)
    right, wrong = draw_logits(labels, rng, 0.5), draw_logits((labels + 1) % 3, rng, 0.5)
    paths: dict[FeatureLayers, Path] = {
        "last": solved(right, labels, division),
        "levels": solved(wrong, labels, division),
    }
    alone, both = averaged(paths, division, labels)
    assert both is alone
    assert [(part.features, part.share) for part in both.parts] == [("last", 1.0)]


def test_one_set_or_a_validation_part_that_chose_leaves_the_choice() -> None:
    rng, division = np.random.default_rng(4), divided()
    labels = rng.integers(0, 3, NUM_IMAGES).astype(np.int32)
    only: dict[FeatureLayers, Path] = {"last": solved(draw_logits(labels, rng, 1.5), labels, division)}
    alone, both = averaged(only, division, labels)
    assert both is alone
    held_out = Division(
        fold_of=np.full(NUM_IMAGES, -1),
        num_folds=0,
        is_fitted=np.arange(NUM_IMAGES) < 200,
        weights=np.ones(NUM_IMAGES, np.float32),
    )
    paths: dict[FeatureLayers, Path] = {
        name: solved(draw_logits(labels, rng, 1.5), labels, held_out) for name in ("last", "levels")
    }
    alone, both = averaged(paths, held_out, labels)
    assert alone.decider == "validation"
    assert both is alone


@pytest.mark.parametrize("is_worse", [False, True])
def test_a_given_part_on_which_the_average_is_clearly_worse_has_the_last_word(is_worse: bool) -> None:
    rng, division = np.random.default_rng(4), divided(has_given=True)
    labels = rng.integers(0, 3, NUM_IMAGES + NUM_GIVEN).astype(np.int32)
    logits = {name: draw_logits(labels, rng, noise) for name, noise in (("last", 1.6), ("levels", 1.5))}
    if is_worse:  # elsewhere the last layer knows less
        logits["last"][NUM_IMAGES:] = rng.normal(0, 1.6, (NUM_GIVEN, 3))
    paths: dict[FeatureLayers, Path] = {
        "last": solved(logits["last"], labels, division),
        "levels": solved(logits["levels"], labels, division),
    }
    alone, both = averaged(paths, division, labels)
    assert (alone.features, alone.decider) == ("levels", "folds")
    assert (both is alone) == is_worse


def test_the_final_head_is_the_average_of_both_fitted_to_all_images(tmp_path: FilePath) -> None:
    features = draw_features(tmp_path, 150, 6, noise=6.0)
    rows, num_last = StandardisedRows((features,)), features.num_features // 2
    division = Division(
        fold_of=np.arange(150) % 5, num_folds=5, is_fitted=np.ones(150, bool), weights=np.ones(150, np.float32)
    )
    widths: dict[FeatureLayers, int] = {"last": num_last, "levels": rows.num_features}
    paths = follow_paths(rows, widths, division, [0.3, 0.1], NUM_CLASSES, Silent())
    chosen = choose(paths, division)
    choice = average_heads(chosen, paths, division, features.labels)
    assert len(choice.parts) == 2
    final = fit_to(np.ones(150, bool), rows, division, choice)

    values = rows_of(features).astype(np.float64)
    standardised = (values - values.mean(0)) / values.std(0)
    logits = np.zeros((150, NUM_CLASSES))
    for part in choice.parts:
        strength = 1 / (part.solution.l2 * 150)
        of_part = standardised[:, : widths[part.features]]
        fitted = LogisticRegression(C=strength, max_iter=3000, tol=1e-7).fit(of_part, features.labels)
        logits += part.share * fitted.decision_function(of_part)
    by_head = final.logits(standardised.astype(np.float32), 0)
    np.testing.assert_allclose(softmax(by_head, axis=-1), softmax(logits, axis=-1), atol=0.02)
