"""The page of an ensemble: 80 columns, and what the ensemble gains over its best member."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.console import Terminal
from app.pages.ensemble import (
    LISTED_MEMBERS,
    MATRIX_MEMBERS,
    ensemble_page,
    gain_lines,
    leaderboard_table,
    limit_line,
    show,
)
from models.errors import UserError
from pipelines.runs.ensemble_spec import EnsembleSpec
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow, Spread
from pipelines.runs.manifest import RunRequest
from pipelines.runs.report import Comparison, FoldScore, ModelComparison, Score
from tests.app.pages.samples import printed, sample_report
from tests.pipelines.manifests import MANIFEST, manifest_with


def member(number: int, **values: Any) -> MemberRow:  # fields of several types
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
    return replace(row, **values)


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
        names=tuple(row.name for row in rows),
        disagreement=tuple(tuple(0.0 if one == other else 0.17 for other in range(count)) for one in range(count)),
        gain=EnsembleGain(
            comparison=models, ms=24.0, best_ms=10.0, times_as_long=Spread(median=2.42, quartiles=(2.13, 2.71))
        ),
        folds={"accuracy": FoldScore(mean=0.9, deviation=0.01, interval=(0.88, 0.92))},
        ms=24.0,
        mb=600.0,
        ms_quartiles=(23.0, 25.5),
    )


def page_lines(leaderboard: Leaderboard) -> list[str]:
    scores = sample_report(["cat", "dog"], 40)
    return printed(ensemble_page(leaderboard, {"validation": scores, "test": scores}), width=200)


def test_the_page_keeps_within_80_columns() -> None:
    for count in (1, 2, MATRIX_MEMBERS, MATRIX_MEMBERS + 1, LISTED_MEMBERS + 10):
        assert max(len(line.rstrip()) for line in page_lines(board(count))) <= 80


def test_very_many_members_are_those_with_the_most_weight() -> None:
    rows = tuple(member(number, name=f"s{number}", weight=number / 1000) for number in range(LISTED_MEMBERS + 10))
    lines = printed(leaderboard_table(replace(board(2), members=rows)), width=200)
    assert [line.split()[0] for line in lines[2:]] == [f"s{number}" for number in range(LISTED_MEMBERS + 9, 9, -1)]


def test_columns_show_what_the_names_of_runs_do_not() -> None:
    rows = (member(0, name="first", seed=3, head="mlp"), member(1, name="second", seed=None, head="mlp"))
    lines = printed(leaderboard_table(replace(board(2), members=rows)), width=200)
    assert lines[0].split()[:3] == ["member", "seed", "accuracy"]
    assert [line.split()[:2] for line in lines[2:]] == [["first", "3"], ["second", "-"]]


def test_the_gain_is_shown_with_its_interval_and_cost() -> None:
    lines = gain_lines(board(3))
    assert " ".join(" ".join(lines).split()).startswith(
        "ensemble vs best member: +1.8 points (95 % interval 0.4 .. 3.1, paired bootstrap), "
        "log-loss 0.41 -> 0.33, 2.4x (quartiles 2.1 .. 2.7) the time per image"
    )
    assert "24 ms per image (quartiles 23 .. 25.5), 600 MB" in " ".join(" ".join(lines).split())
    assert not any(" alone" in line for line in lines)
    assert any("over folds: accuracy 0.900 +- 0.010 (95 % interval 0.880 .. 0.920)" in line for line in lines)


def test_an_interval_that_includes_zero_recommends_one_model() -> None:
    words = " ".join(" ".join(gain_lines(board(3, (-0.002, 0.03)))).split())
    assert f"the interval includes zero: the gain may be chance; use `{member(0).name}` alone" in words
    words = " ".join(" ".join(gain_lines(board(3, (-0.05, -0.01)))).split())
    assert "the ensemble is clearly worse" in words


def test_models_of_folds_are_not_recommended_as_one_model() -> None:
    rows = tuple(member(number, name=f"{name}-f{number}", fold=number) for name in ("a", "b") for number in range(3))
    folds = replace(board(2, (-0.002, 0.03)), members=rows, names=(member(0).name, "b"))
    words = " ".join(" ".join(gain_lines(folds)).split())
    assert f"train the 3 models of `{member(0).name}` alone" in words
    assert "use `" not in words


def test_a_stack_has_no_weights() -> None:
    def header(method: str) -> list[str]:
        return printed(leaderboard_table(replace(board(2), method=method)), width=200)[0].split()

    assert header("greedy") == ["member", "accuracy", "log-loss", "weight", "ms", "MB"]
    assert header("stack") == ["member", "accuracy", "log-loss", "ms", "MB"]
    lines = page_lines(replace(board(LISTED_MEMBERS + 1), method="stack"))
    assert not any("weight" in line for line in lines)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize(
    ("method", "temperature", "fitted"),
    [
        ("greedy", None, "the weights were fitted on validation images"),
        ("stack", None, "the penalty of the stack was chosen on validation images"),
        ("mean", 0.7, "the temperature was fitted on validation images"),
    ],
)
def test_what_was_fitted_on_validation_images_is_said(
    method: str, temperature: float | None, fitted: str, part: str
) -> None:
    words = " ".join(" ".join(gain_lines(replace(board(3, part=part), method=method, temperature=temperature))).split())
    assert f"{fitted}: the validation figures look better than they are" in words


# Runs of before 2026-11-24 have a gain of the group over itself.
@pytest.mark.parametrize("gain", [None, board(5).gain])
def test_the_models_of_one_group_are_compared_with_nothing(gain: EnsembleGain | None) -> None:
    folds = board(5)
    alone = replace(folds, names=("mobilenet",), disagreement=((0.0,),), gain=gain)
    words = " ".join(" ".join(gain_lines(alone)).split())
    assert "mean of the 5 models of `mobilenet`" in words
    assert "vs best member" not in words and "alone" not in words
    assert "weights were fitted" not in words and "the temperature was fitted" in words
    assert "over folds: accuracy 0.900" in words


def test_a_single_member_is_not_called_a_mean() -> None:
    words = " ".join(gain_lines(replace(board(1), gain=None, names=("net",))))
    assert "`net` is the only member: nothing to compare it with" in words
    assert "mean of" not in words


def test_nothing_is_said_where_nothing_was_fitted() -> None:
    words = " ".join(gain_lines(replace(board(3), method="mean", temperature=None)))
    assert "better than they are" not in words


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (20.0, "the chosen members take 18.2 ms together (quartiles 17.9 .. 19), 9 % below it"),
        (18.5, "the limit lies within the spread: another measurement may choose otherwise"),
    ],
)
def test_how_near_a_greatest_time_was_is_shown(limit: float, expected: str) -> None:
    line = limit_line(Spread(median=18.2, quartiles=(17.9, 19.0)), limit)
    assert line.startswith(f"--max-latency {limit:g}: ")
    assert line.endswith(expected)


def test_the_end_of_a_combination_warns_and_names_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    manifest = manifest_with(
        leaderboard=replace(board(2), chosen_ms=Spread(median=9.0, quartiles=(8.8, 9.1))),
        metrics={"test": sample_report(["cat", "dog"], 40)},
        data=replace(MANIFEST.data, skipped=3),
        notes=("a note",),
        spec=RunRequest(ensemble=EnsembleSpec(runs=("a", "b"), out="c", max_latency=10.0)),
    )
    show(Terminal(), manifest, "runs/my ensemble")
    out, err = capsys.readouterr()
    assert out == "" and "ensemble vs best member" in err
    assert err.splitlines()[-7:] == [
        "--max-latency 10: the chosen members take 9 ms together (quartiles 8.8 .. 9.1), 10 % below it",
        "warning: 3 files are not readable images and were left out",
        "warning: a note",
        "the run is in `runs/my ensemble`",
        "next: headstart predict 'runs/my ensemble' IMAGE",
        "next: headstart evaluate 'runs/my ensemble' OTHER-LABELLED-IMAGES",
        "next: headstart export 'runs/my ensemble' --out exported",
    ]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ({"a-s1": "MemoryError: too much"}, "1 member is missing from the ensemble: `a-s1`: MemoryError: too much"),
        ({"b": "bad", "c": "worse"}, "2 members are missing from the ensemble; the first, `b`: bad"),
    ],
)
def test_a_missing_member_is_an_error_after_the_page(
    missing: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = manifest_with(leaderboard=board(2), metrics={"test": sample_report(["a", "b"], 9)}, missing=missing)
    with pytest.raises(UserError) as caught:
        show(Terminal(), manifest, "runs/all")
    assert "ensemble vs best member" in capsys.readouterr().err
    assert (caught.value.message, caught.value.exit_code) == (message, 1)
    assert "`runs/all` combines the others" in caught.value.hint and "--force" in caught.value.hint
