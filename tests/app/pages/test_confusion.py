"""The confusion matrix and the list of confusions."""

from __future__ import annotations

import numpy as np

from app.pages.confusion import abbreviated, confused_table, matrix_table
from pipelines.evaluation.metrics import report
from pipelines.runs.report import Confusion
from tests.app.pages.samples import printed, sample_report


def stripped(lines: list[str]) -> list[str]:
    return [line.rstrip() for line in lines]


def test_the_matrix_has_true_classes_down_and_predicted_across() -> None:
    scores = report(np.eye(2)[[0, 1, 1, 1]], [0, 0, 0, 1], ["cats", "dogs"])
    lines = stripped(printed(matrix_table(scores)))
    assert "true class  cats  dogs" in lines
    assert "cats           1     2" in lines
    assert "dogs           .     1" in lines


def test_headings_tell_classes_apart_or_are_numbers() -> None:
    assert abbreviated(["shirt", "shoes", "t-shirt"], 4) == ["shir", "shoe", "t-sh"]
    assert abbreviated(["shorts", "shorter"], 4) == ["1", "2"]
    assert abbreviated(["Cat", "cat"], 4) == ["1", "2"]


def test_numbers_as_headings_stand_before_the_names_too() -> None:
    names = ["a class of a long name", "a class of a longer name"]
    lines = stripped(printed(matrix_table(report(np.eye(2)[[0, 1]], [0, 1], names))))
    assert lines[0].split() == ["true", "class", "1", "2"]
    assert lines[2].startswith("1 a class of a long name")


def test_classes_that_are_numbers_are_not_numbered() -> None:
    lines = stripped(printed(matrix_table(report(np.eye(3)[[0, 1, 2]], [0, 1, 2], ["1", "2", "3"]))))
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]
    assert lines[2].split() == ["1", "1", ".", "."]


def test_counts_that_are_too_wide_become_percentages() -> None:
    names = [f"class number {number} of a dozen with a long name" for number in range(12)]
    scores = sample_report(names, 500, 200)
    lines = printed(matrix_table(scores))
    assert "per cent of the images of the true class" in lines[-1]
    assert scores.confusion_matrix is not None
    row = np.array(scores.confusion_matrix[0])
    expected = [f"{100 * count / row.sum():.0f}" if count else "." for count in row]
    assert lines[2].split()[-12:] == expected


def test_a_confusion_has_its_share_of_the_class() -> None:
    lines = stripped(printed(confused_table([Confusion(label="cat", predicted="lynx", count=1234, share=0.0625)])))
    assert lines[0].split("  ")[0] == "most confused"
    assert lines[2].split() == ["cat", "lynx", "1,234", "6.2", "%"]
