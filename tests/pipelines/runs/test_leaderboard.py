"""Ensemble results: JSON there and back, and the recommended model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow
from pipelines.runs.report import Comparison, FoldScore, Interval, ModelComparison
from pipelines.system.records import as_record


def gain(interval: Interval) -> EnsembleGain:
    common: dict[str, Any] = {"first": "ensemble", "second": "one", "part": "test", "images": 100}
    accuracy = Comparison(score="accuracy", means=(0.92, 0.9), value=0.02, interval=interval, **common)
    log_loss = Comparison(score="log_loss", means=(0.25, 0.5), value=-0.25, interval=(-0.3, -0.2), **common)
    return EnsembleGain(comparison=ModelComparison(accuracy=accuracy, log_loss=log_loss), ms=30.0, best_ms=12.0)


def leaderboard() -> Leaderboard:
    row = MemberRow(
        name="one",
        path="members/one",
        backbone="vgg16",
        head="linear",
        seed=None,
        fold=1,
        weight=0.5,
        images=50,
        accuracy=0.9,
        accuracy_interval=(0.8, 0.95),
        log_loss=0.3,
        ms=12.0,
        mb=60.0,
    )
    return Leaderboard(
        method="greedy",
        temperature=None,
        members=(row,),
        names=("one", "two"),
        disagreement=((0.0, 0.125), (0.125, 0.0)),
        gain=gain((0.01, 0.03)),
        folds={"accuracy": FoldScore(mean=0.9, deviation=0.01, interval=(0.88, 0.92))},
        ms=30.0,
        mb=120.0,
    )


def test_a_leaderboard_survives_json() -> None:
    text = json.dumps(asdict(leaderboard()), allow_nan=False)
    assert as_record(json.loads(text), Leaderboard) == leaderboard()


@pytest.mark.parametrize(
    ("interval", "recommended"), [((0.01, 0.03), ""), ((-0.01, 0.05), "one"), ((-0.05, -0.01), "one")]
)
def test_the_best_member_is_recommended_unless_the_ensemble_is_clearly_more_accurate(
    interval: Interval, recommended: str
) -> None:
    assert gain(interval).recommended == recommended


def test_the_line_shows_gain_loss_and_cost() -> None:
    assert gain((0.01, 0.03)).line == (
        "ensemble vs best member: +2.0 points (95 % interval 1.0 .. 3.0, paired bootstrap), "
        "log-loss 0.50 -> 0.25, 2.5x the time an image"
    )
