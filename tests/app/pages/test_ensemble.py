"""The page of an ensemble: 80 columns, and an honest verdict."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from app.pages.ensemble import LISTED, MATRIX, ensemble_page, gain_lines, squeezed
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow
from pipelines.runs.report import Comparison, FoldScore, ModelComparison, Score
from tests.app.pages.test_report import judged

REPORT = judged(["cat", "dog"], 40)


def member(number: int, **values: object) -> MemberRow:
    row = MemberRow(
        name=f"a_backbone_of_a_rather_long_name_{number % 4}-linear-s{number}",
        path=f"members/{number}",
        backbone="vgg16",
        head="linear",
        seed=number,
        fold=None,
        weight=1 / (number + 1),
        images=341,
        accuracy=0.871,
        accuracy_interval=(0.831, 0.902),
        log_loss=12.345,
        ms=1234.5,
        mb=528.31,
    )
    return replace(row, **values)  # type: ignore[arg-type]


def board(count: int, interval: tuple[float, float] = (0.004, 0.031), part: str = "test") -> Leaderboard:
    rows = tuple(member(number) for number in range(count))

    def comparison(score: Score, means: tuple[float, float], value: float, bounds: tuple[float, float]) -> Comparison:
        return Comparison(
            score=score,
            first="ensemble",
            second=rows[0].name,
            part=part,
            images=372,
            means=means,
            value=value,
            interval=bounds,
        )

    models = ModelComparison(
        accuracy=comparison("accuracy", (0.911, 0.893), 0.018, interval),
        log_loss=comparison("log_loss", (0.33, 0.41), -0.08, (-0.1, -0.06)),
    )
    return Leaderboard(
        method="greedy",
        temperature=0.7,
        members=rows,
        names=tuple(each.name for each in rows),
        disagreement=tuple(tuple(0.0 if one == other else 0.17 for other in range(count)) for one in range(count)),
        gain=EnsembleGain(comparison=models, ms=24.0, best_ms=10.0),
        folds={"accuracy": FoldScore(mean=0.9, deviation=0.01, interval=(0.88, 0.92))},
        ms=24.0,
        mb=600.0,
    )


def drawn(found: Leaderboard) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=200).print(ensemble_page(found, {"validation": REPORT, "test": REPORT}))
    return stream.getvalue().splitlines()


def test_the_page_keeps_within_80_columns() -> None:
    for count in (1, 2, MATRIX, MATRIX + 1, LISTED + 10):
        assert max(len(line.rstrip()) for line in drawn(board(count))) <= 80


def test_the_verdict_says_what_was_gained_and_what_it_costs() -> None:
    lines = gain_lines(board(3))
    assert " ".join(" ".join(lines[:2]).split()) == (
        "ensemble vs best member: +1.8 points (95 % interval 0.4 .. 3.1, paired bootstrap), "
        "log-loss 0.41 -> 0.33, 2.4x the time an image"
    )
    assert not any(" alone" in line for line in lines)
    assert any("over folds: accuracy 0.900 +- 0.010 (95 % interval 0.880 .. 0.920)" in line for line in lines)


def test_an_interval_that_holds_zero_recommends_one_model() -> None:
    said = " ".join(" ".join(gain_lines(board(3, (-0.002, 0.03)))).split())
    assert f"the interval includes zero: the gain may be chance; use `{member(0).name}` alone" in said
    said = " ".join(" ".join(gain_lines(board(3, (-0.05, -0.01)))).split())
    assert "the ensemble is clearly worse" in said


def test_without_test_images_it_says_that_the_figures_flatter() -> None:
    assert any("looks better than it is" in line for line in gain_lines(board(3, part="validation")))


def test_the_end_of_a_name_stays() -> None:
    assert squeezed("short", 24) == "short"
    found = squeezed(member(3).name, 24)
    assert len(found) == 24
    assert found.endswith("3-linear-s3")
