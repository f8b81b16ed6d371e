"""What `evaluate` and `train` print: fits 80 columns, wraps nothing, survives any class name."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from app.pages.report import evaluation_page, skipped_line, training_page
from pipelines.evaluation.metrics import report
from tests.app.pages.samples import printed, sample_report

ODD_NAMES = [
    "[red]x[/red]",
    "日本語の長い名前のクラスですよこれはとても長い名前" * 2,
    "new\nline\x1b[31m",
    "b\udcffd",
    "e\u0301" * 60,
]


@pytest.mark.parametrize(
    ("names", "count", "repeat"),
    [
        (["cats", "dogs"], 30, 1),
        ([f"class number {number}" for number in range(10)], 500, 1),
        ([f"class number {number} of a dozen with a long name" for number in range(12)], 500, 200),
        ([f"c{number}" for number in range(100)], 1000, 1),
        (ODD_NAMES, 400, 1),
    ],
)
def test_eighty_columns_and_one_line_a_row(names: list[str], count: int, repeat: int) -> None:
    scores = sample_report(names, count, repeat)
    lines = printed(evaluation_page(scores))
    assert max(map(cell_len, lines)) <= 80
    # A table narrower than its content would end cells with an ellipsis or carry them to a second line.
    assert not any("…" in line for line in lines)
    blocks = "\n".join(line.rstrip() for line in lines).split("\n\n")
    rows = [len(block.splitlines()) for block in blocks]
    listed = len(names) + 2 if len(names) <= 50 else 23
    expected = [14 if len(names) > 2 else 13, listed]
    expected += [len(names) + 2 + (repeat > 1)] if len(names) <= 12 else []
    assert rows == [*expected, len(scores.confused) + 2]


def test_names_are_text_not_markup_nor_control_sequences() -> None:
    text = "\n".join(printed(evaluation_page(sample_report(ODD_NAMES, 400))))
    assert "[red]x[/red]" in text
    assert "new\\nline\\x1b[31m" in text
    assert "b\\xffd" in text
    assert "\x1b" not in text


def test_a_perfect_model_has_no_table_of_confusions() -> None:
    assert "most confused" not in "\n".join(printed(evaluation_page(report(np.eye(3), [0, 1, 2], ["a", "b", "c"]))))


def test_a_class_without_images_has_dashes() -> None:
    lines = printed(evaluation_page(report(np.eye(3), [0, 1, 1], ["a", "b", "empty"])))
    row = next(line for line in lines if line.startswith("empty"))
    assert row.split() == ["empty", "-", "-", "-", "0"]


def test_very_many_classes_show_the_worst_and_say_so() -> None:
    names = [f"c{number}" for number in range(60)]
    predicted = np.arange(60)
    predicted[17] = 3
    lines = printed(evaluation_page(report(np.eye(60)[predicted], np.arange(60), names)))
    start = next(number for number, line in enumerate(lines) if line.startswith("class "))
    assert lines[start + 2].startswith("c17 ")
    assert any("lowest 20 of 60" in line for line in lines)


def test_training_page_has_a_column_for_each_part_with_intervals() -> None:
    first, second = sample_report(["a", "b", "c"], 60), sample_report(["a", "b", "c"], 90)
    lines = printed(training_page({"validation": first, "test": second}))
    assert "validation (60 images)" in lines[0]
    assert "test (90 images)" in lines[0]
    row = next(line for line in lines if line.startswith("accuracy"))
    for scores in (first, second):
        low, high = scores.accuracy_interval
        assert f"{scores.accuracy:.3f} ({low:.3f} .. {high:.3f})" in row
    assert [line.split()[0] for line in lines[2:-1]] == ["accuracy", "macro", "log-loss"]
    assert max(map(cell_len, lines)) <= 80


@pytest.mark.parametrize(("classes", "is_shown"), [(6, False), (9, False), (10, True), (40, True)])
def test_top_five_is_shown_at_the_end_of_a_training_only_where_it_says_something(classes: int, is_shown: bool) -> None:
    scores = sample_report([f"c{number}" for number in range(classes)], 90)
    assert any("top-5" in line for line in printed(training_page({"test": scores}))) is is_shown
    assert any("top-5" in line for line in printed(evaluation_page(scores)))


def test_predictions_out_of_fold_are_called_cross_validated() -> None:
    scores = sample_report(["a", "b", "c"], 12_345)
    lines = printed(training_page({"validation": scores, "test": scores}, is_out_of_fold=True))
    assert "cross-validated (12,345 images)" in lines[0]
    assert "validation (" not in lines[0]
    assert max(map(cell_len, lines)) <= 80


def test_the_top_one_of_two_classes_is_not_printed_twice() -> None:
    assert not any("top-" in line for line in printed(evaluation_page(sample_report(["a", "b"], 20))))


def test_the_plural_of_skipped_files_agrees() -> None:
    assert skipped_line(1) == "1 file is not a readable image and was left out"
    assert skipped_line(1200) == "1,200 files are not readable images and were left out"


def test_the_plural_of_images_agrees() -> None:
    one = sample_report(["a", "b"], 1)
    assert "test (1 image)" in printed(training_page({"test": one}))[0]
    assert "1 image " in printed(evaluation_page(one))[0] + " "
