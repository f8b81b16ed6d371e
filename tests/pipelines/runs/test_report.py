"""Records of evaluation: JSON there and back, and which of two models a comparison prefers."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from pipelines.evaluation.metrics import report
from pipelines.runs.report import DENSE_CLASSES, Comparison, Interval, ModelComparison, Report, Score
from pipelines.system.records import as_record


def comparison(score: Score, value: float, interval: Interval) -> Comparison:
    return Comparison(
        score=score,
        first="a",
        second="b",
        part="test",
        images=30,
        means=(0.5 + value, 0.5),
        value=value,
        interval=interval,
    )


def test_a_report_survives_json() -> None:
    labels = np.arange(50) % 2
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    scores = report(probabilities, labels, ["cat", "dog", "owl"])
    text = json.dumps(scores.to_json(), allow_nan=False)
    assert as_record(json.loads(text), Report) == scores
    assert {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "ece"} <= json.loads(text).keys()
    assert len(json.loads(text)["accuracy_interval"]) == 2


def test_a_report_of_hundreds_of_classes_lists_the_cells_that_are_not_zero() -> None:
    num_classes = DENSE_CLASSES + 1
    probabilities = np.eye(num_classes)[[0, 3, 3, 3]]
    scores = report(probabilities, [0, 1, 1, 500], [str(number) for number in range(num_classes)])
    values = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert values["confusion_matrix"] is None
    assert values["confusion_cells"] == [[0, 0, 1], [1, 3, 2], [500, 3, 1]]
    assert as_record(values, Report) == scores == as_record(json.loads(json.dumps(asdict(scores))), Report)


def test_a_comparison_survives_json_with_the_keys_that_scripts_read() -> None:
    models = ModelComparison(
        accuracy=comparison("accuracy", 0.1, (0.05, 0.15)), log_loss=comparison("log_loss", -0.2, (-0.3, -0.1))
    )
    values = json.loads(json.dumps(asdict(models), allow_nan=False))
    assert as_record(values, ModelComparison) == models
    assert (values["accuracy"]["value"], values["accuracy"]["interval"]) == (0.1, [0.05, 0.15])


@pytest.mark.parametrize(
    ("score", "value", "interval", "is_clear", "is_better", "is_clearly_better"),
    [
        ("accuracy", 0.1, (0.05, 0.15), True, True, True),
        ("accuracy", 0.1, (-0.05, 0.15), False, True, False),
        ("accuracy", -0.1, (-0.15, -0.05), True, False, False),
        ("accuracy", 0.0, (0.0, 0.0), False, False, False),
        ("log_loss", -0.1, (-0.15, -0.05), True, True, True),
        ("log_loss", -0.1, (-0.15, 0.05), False, True, False),
        ("log_loss", 0.1, (0.05, 0.15), True, False, False),
        ("log_loss", 0.0, (0.0, 0.0), False, False, False),
    ],
)
def test_accuracy_is_better_when_higher_and_log_loss_when_lower(
    score: Score, value: float, interval: Interval, is_clear: bool, is_better: bool, is_clearly_better: bool
) -> None:
    difference = comparison(score, value, interval)
    assert difference.is_clear is is_clear
    assert difference.first_is_better is is_better
    assert difference.first_is_clearly_better is is_clearly_better


@pytest.mark.parametrize(
    ("loss", "accuracy", "is_better"),
    [
        ((-0.1, (-0.2, -0.05)), (0.0, (-0.01, 0.01)), True),
        ((0.1, (0.05, 0.2)), (0.03, (0.01, 0.05)), False),
        ((0.02, (-0.07, 0.12)), (0.03, (0.01, 0.05)), True),
        ((-0.02, (-0.12, 0.07)), (-0.03, (-0.05, -0.01)), False),
        ((-0.02, (-0.12, 0.07)), (-0.03, (-0.07, 0.01)), True),
        ((0.02, (-0.07, 0.12)), (0.03, (-0.01, 0.05)), False),
    ],
)
def test_the_log_loss_decides_unless_only_the_accuracy_is_clear(
    loss: tuple[float, Interval], accuracy: tuple[float, Interval], is_better: bool
) -> None:
    models = ModelComparison(accuracy=comparison("accuracy", *accuracy), log_loss=comparison("log_loss", *loss))
    assert models.first_is_better is is_better
