"""Ensemble results: JSON there and back, and the recommended model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow, Spread
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
        ms_quartiles=(29.0, 31.5),
        chosen_ms=Spread(median=28.0, quartiles=(27.0, 30.0)),
    )


def test_a_leaderboard_survives_json() -> None:
    text = json.dumps(asdict(leaderboard()), allow_nan=False)
    assert as_record(json.loads(text), Leaderboard) == leaderboard()


def test_a_leaderboard_without_measured_spreads_is_read() -> None:
    values = json.loads(json.dumps(asdict(leaderboard())))
    for key in ("ms_quartiles", "chosen_ms"):
        del values[key]
    del values["gain"]["times_as_long"]
    del values["members"][0]["ms_quartiles"]
    read = as_record(values, Leaderboard)
    assert (read.ms, read.ms_quartiles, read.chosen_ms) == (30.0, None, None)
    assert read.gain is not None and read.gain.times_as_long is None


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
        "log-loss 0.50 -> 0.25, about 2.5x the time per image"
    )


def test_a_time_that_was_measured_in_turn_is_shown_with_its_quartiles() -> None:
    measured = replace(gain((0.01, 0.03)), times_as_long=Spread(median=2.46, quartiles=(2.31, 2.84)))
    assert measured.line.endswith("2.5x (quartiles 2.3 .. 2.8) the time per image")
