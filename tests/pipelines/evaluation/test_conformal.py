"""Sets of classes: the finite-sample quantile by hand, coverage by simulation, and what a run needs for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.arrays import Labels, Probabilities
from models.errors import UserError
from pipelines.evaluation.conformal import SetRule, least_probability, require_coverage_for_classes, set_rule
from pipelines.evaluation.coverage import measure_coverage
from pipelines.evaluation.intervals import wilson
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.runs.examples import Example, Split
from tests.pipelines.manifests import manifest_with

NAMES = ("cat", "dog", "emu")


def one_class(of_label: list[float]) -> tuple[Probabilities, Labels]:
    """Images of class 0 with these probabilities of it."""
    first = np.array(of_label, np.float32)
    return np.stack([first, 1 - first], 1), np.zeros(len(first), np.int32)


def drawn(rng: np.random.Generator, count: int, sharpness: tuple[float, float, float]) -> tuple[Probabilities, Labels]:
    """Images of three classes as frequent, whose probabilities favour the true class by its own sharpness."""
    labels = rng.integers(0, 3, count)
    logits = rng.normal(size=(count, 3))
    logits[np.arange(count), labels] += np.array(sharpness)[labels]
    powers = np.exp(logits)
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32), labels.astype(np.int32)


def saved_run(folder: Path, parts: dict[Split, tuple[Probabilities, Labels]], hashes: dict[Split, list[str]]) -> str:
    """A folder with the predictions of parts, of images with these hashes."""
    examples: dict[Split, list[Example]] = {
        part: [
            Example(path="", label=int(label), split=part, sha256=sha, source="")
            for sha, label in zip(hashes[part], labels, strict=True)
        ]
        for part, (_, labels) in parts.items()
    }
    save_predictions(folder, parts, examples)
    return str(folder)


def hashes(count: int, start: int = 0) -> list[str]:
    return [f"{number:064x}" for number in range(start, start + count)]


@pytest.mark.parametrize(
    ("count", "coverage", "rank"),  # rank = ceil((count + 1) coverage), worked by hand
    [(9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (29, 0.9, 27), (99, 0.99, 99), (4, 0.8, 4), (3, 0.5, 2)],
)
def test_the_quantile_is_corrected_for_the_number_of_images(count: int, coverage: float, rank: int) -> None:
    of_label = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, count)).tolist()
    expected = sorted(of_label, reverse=True)[rank - 1]
    assert least_probability(*one_class(of_label), coverage) == pytest.approx(expected, abs=1e-6)


def test_too_few_images_for_the_coverage_is_an_error_that_names_what_is_possible() -> None:
    with pytest.raises(UserError, match=r"a coverage of 0.9 needs 9 images .* the run has 8") as caught:
        least_probability(*one_class([0.5] * 8), 0.9)
    assert "--coverage 0.888" in caught.value.hint  # 8 / 9
    least_probability(*one_class([0.5] * 8), 0.888)


def test_new_images_are_covered_as_often_as_promised() -> None:
    """Exchangeable scores: the expected coverage of continuous scores is ceil((n + 1) c) / (n + 1) exactly."""
    rng, calibration, trials, hits, tests = np.random.default_rng(1), 60, 600, 0, 20
    for _ in range(trials):
        probabilities, labels = drawn(rng, calibration + tests, (0.5, 0.5, 0.5))
        least = least_probability(probabilities[:calibration], labels[:calibration], 0.9)
        held = probabilities[calibration:] >= least
        hits += int(held[np.arange(tests), labels[calibration:]].sum())
    low, high = wilson(hits, trials * tests)
    # The tests of one trial share a rule: their number counts for less. Its variance is that of Beta(55, 6).
    spread = 3 * np.sqrt(0.9 * 0.1 / 62 / trials)
    assert low - spread <= 55 / 61 <= high + spread


def test_a_hard_class_is_covered_as_promised_only_by_a_level_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    probabilities, labels = drawn(rng, 6000, (3.0, 3.0, 0.8))
    run = saved_run(tmp_path, {"validation": (probabilities, labels)}, {"validation": hashes(6000)})
    new, truth = drawn(rng, 6000, (3.0, 3.0, 0.8))
    manifest = manifest_with(class_names=NAMES)
    of_all = measure_coverage(new, truth, set_rule(run, manifest, 0.9), NAMES)
    assert of_all.value == pytest.approx(0.9, abs=0.015)
    assert (of_all.classes[2].value or 1) < 0.8 < 0.92 < (of_all.classes[0].value or 0)
    by_class = measure_coverage(new, truth, set_rule(run, manifest, 0.9, is_by_class=True), NAMES)
    assert (by_class.classes[2].value or 0) == pytest.approx(0.9, abs=0.02)
    assert by_class.mean_size > of_all.mean_size


def test_a_class_with_too_few_images_is_in_every_set_and_is_named(tmp_path: Path) -> None:
    probabilities, labels = drawn(np.random.default_rng(3), 100, (2.0, 2.0, 2.0))
    keep = (labels != 2) | (np.cumsum(labels == 2) <= 8)
    run = saved_run(
        tmp_path, {"validation": (probabilities[keep], labels[keep])}, {"validation": hashes(int(keep.sum()))}
    )
    rule = set_rule(run, manifest_with(class_names=NAMES), 0.9, is_by_class=True)
    assert rule.always == ("emu",) and "`emu` is in every set: too few images" in rule.line
    assert rule.holds(np.array([[1, 0, 0]], np.float32)).tolist() == [[True, False, True]]


def test_no_set_is_empty() -> None:
    rule = SetRule(coverage=0.5, least=(0.9, 0.9, 0.9), images=9, basis="")
    held = rule.holds(np.array([[0.4, 0.35, 0.25], [0.02, 0.95, 0.03]], np.float32))
    assert held.tolist() == [[True, False, False], [False, True, False]]


def test_coverage_and_sizes_are_counted_by_hand() -> None:
    rule = SetRule(coverage=0.8, least=(0.3, 0.3, 0.3), images=9, basis="")
    probabilities = np.array([[0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]], np.float32)
    coverage = measure_coverage(probabilities, np.array([0, 0, 1, 1], np.int32), rule, NAMES)
    assert (coverage.value, coverage.mean_size) == (0.75, 1.5)
    assert [(score.value, score.mean_size, score.images) for score in coverage.classes] == [
        (1.0, 2.0, 2),
        (0.5, 1.0, 2),
        (None, None, 0),
    ]
    assert "least covered `dog`, 0.500 of 2" in coverage.line


def test_an_image_of_two_parts_counts_once_by_its_prediction_out_of_fold(tmp_path: Path) -> None:
    given, out_of_fold = one_class([0.99] * 9), one_class([0.3, *[0.99] * 9])
    run = saved_run(
        tmp_path, {"validation": given, "train": out_of_fold}, {"validation": hashes(9), "train": hashes(10)}
    )
    rule = set_rule(run, manifest_with(), 0.9)  # of 10 images the lowest: ceil(11 * 0.9) = 10
    assert rule.images == 10 and rule.least[0] == pytest.approx(0.3)


def test_what_the_images_were_to_the_model_is_said(tmp_path: Path) -> None:
    run = saved_run(tmp_path, {"validation": one_class([0.5] * 9)}, {"validation": hashes(9)})
    assert "9 images of the validation part, which chose the model" in set_rule(run, manifest_with(), 0.9).line


def test_a_run_without_predictions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no predictions to make sets by"):
        set_rule(str(tmp_path), manifest_with(), 0.9)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1, 90.0, float("nan")])
def test_a_coverage_is_a_share(coverage: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not between 0 and 1"):
        set_rule(str(tmp_path), manifest_with(), coverage)


def test_classes_of_no_coverage_are_refused() -> None:
    with pytest.raises(UserError, match="--per-class is about sets"):
        require_coverage_for_classes(None, is_by_class=True)
