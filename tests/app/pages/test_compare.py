"""What `compare` prints: fits 80 columns whatever runs and backbones are called."""

from __future__ import annotations

from typing import Any

from rich.cells import cell_len

from app.pages.compare import compare_page
from pipelines.reports.compared_run import ComparedRun
from pipelines.runs.report import Comparison, Interval, Score
from tests.app.pages.samples import printed


def difference(score: Score, value: float, interval: Interval) -> Comparison:
    return Comparison(
        score=score,
        first="b",
        second="a",
        part="test",
        images=372,
        means=(value + 0.5, 0.5),
        value=value,
        interval=interval,
    )


def row(run: str, **fields: Any) -> ComparedRun:  # fields of several types
    values: dict[str, Any] = {  # likewise
        "run": run,
        "backbone": "efficientnet_v2_b0_with_a_long_name",
        "trained": "head + 13 blocks",
        "parameters": 138_357_544,
        "images": 372,
        "part": "test",
        "accuracy": 0.8844,
        "accuracy_interval": (0.851, 0.911),
        "log_loss": 12.3456,
        "log_loss_interval": (10.1234, 14.5678),
        "seconds": 12345.6,
        "images_per_second": 12345.0,
        "size": 1_234_567_890,
        "accuracy_difference": difference("accuracy", 0.0312, (0.004, 0.0601)),
        "log_loss_difference": difference("log_loss", -10.2, (-11.5, 0.1)),
    }
    return ComparedRun(**{**values, **fields})


def page_lines(rows: list[ComparedRun]) -> list[str]:
    return printed(compare_page(rows))


def test_the_widest_page_fits_eighty_columns() -> None:
    lines = page_lines(
        [row("runs/" + "first_run_of_a_very_long_name"), row("runs/[b]日本語の長い名前のクラスです[/b]")]
    )
    assert max(map(cell_len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_a_clear_difference_is_marked_and_an_unclear_one_is_not() -> None:
    line = next(line for line in page_lines([row("a"), row("b")]) if line.startswith("b") and "+3.1" in line)
    assert "+3.1 (+0.4 .. +6.0) *" in line
    assert line.rstrip().endswith("(-11.500 .. +0.100)")


def test_other_images_are_named_and_one_run_needs_no_differences() -> None:
    lone = row("a", accuracy_difference=None, log_loss_difference=None)
    assert any("evaluated on other images" in line for line in page_lines([lone, row("b", accuracy_difference=None)]))
    assert not any("paired" in line for line in page_lines([lone]))


def test_differences_are_from_the_first_run_which_has_no_row() -> None:
    lines = page_lines([row("runs/a"), row("runs/b"), row("runs/c")])
    start = lines.index(next(line for line in lines if line.startswith("difference from the first run, a:")))
    assert "accuracy (points)" in lines[start + 1]
    assert [line.split()[0] for line in lines[start + 3 : -1]] == ["b", "c"]


def test_runs_of_the_same_name_are_told_apart() -> None:
    lines = page_lines([row("x/run"), row("y/run")])
    assert any(line.startswith("1 run") for line in lines) and any(line.startswith("2 run") for line in lines)


def test_members_of_an_ensemble_are_told_apart_by_the_ends_of_their_names() -> None:
    lines = page_lines([row("runs/all/members/mobilenet_v2-s0"), row("runs/all/members/mobilenet_v2-s1")])
    names = {line.split()[0] for line in lines if "_v2-s" in line and not line.startswith("difference")}
    assert {name[-3:] for name in names} == {"-s0", "-s1"}
