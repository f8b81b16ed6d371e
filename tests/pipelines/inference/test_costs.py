"""The answer of least expected cost by a hand-worked case, and what a table of costs must be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.inference.costs import read_costs

CLASSES = ("cat", "dog")


def table(folder: Path, text: str) -> str:
    file = folder / "costs.csv"
    file.write_text(text, "utf-8")
    return str(file)


def test_a_dear_mistake_is_avoided(tmp_path: Path) -> None:
    """A missed dog costs 10, a missed cat 1. At 0.8 cat: to say cat costs 0.2 * 10 = 2, to say dog 0.8 * 1 = 0.8."""
    costs = read_costs(table(tmp_path, "truth,cat,dog\ncat,0,1\ndog,10,0\n"), CLASSES)
    answer, expected = costs.choose(np.array([0.8, 0.2], np.float32))
    assert CLASSES[answer] == "dog" and expected == pytest.approx(0.8)
    answer, expected = costs.choose(np.array([0.95, 0.05], np.float32))  # 0.5 against 0.95
    assert CLASSES[answer] == "cat" and expected == pytest.approx(0.5)


def test_rows_and_columns_go_by_their_names(tmp_path: Path) -> None:
    costs = read_costs(table(tmp_path, "\ufeff,dog,cat\n\ndog, 0 ,10\ncat,1,0\n"), CLASSES)
    assert costs.costs.tolist() == [[0, 1], [10, 0]]


def test_with_equal_costs_the_most_probable_class_is_the_answer(tmp_path: Path) -> None:
    costs = read_costs(table(tmp_path, "t,cat,dog\ncat,0,1\ndog,1,0\n"), CLASSES)
    answer, expected = costs.choose(np.array([0.3, 0.7], np.float32))
    assert answer == 1 and expected == pytest.approx(0.3)
    free = read_costs(table(tmp_path, "t,cat,dog\ncat,0,0\ndog,0,0\n"), CLASSES)
    assert free.choose(np.array([0.3, 0.7], np.float32)) == (1, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("t,cat,bird\ncat,0,1\ndog,1,0\n", "the first line of .* has `bird`, which the run does not know"),
        ("t,cat,dog\ncat,0,1\nbird,1,0\n", "the first column of .* has `bird`"),
        ("t,cat,dog\ncat,0,1\n", "the first column of .* lacks `dog`"),
        ("t,cat\ncat,0\ndog,1\n", "the first line of .* lacks `dog`"),
        ("t,cat,dog,cat\ncat,0,1,0\ndog,1,0,1\n", "has `cat` twice"),
        ("t,cat,dog\ncat,0,1\ndog,1\n", "lacks the cost of the answer `dog` to `dog`"),
        ("t,cat,dog\ncat,0,\ndog,1,0\n", "lacks the cost of the answer `dog` to `cat`"),
        ("t,cat,dog\ncat,0,much\ndog,1,0\n", "the cost of the answer `dog` to `cat` .* is no number: `much`"),
        ("t,cat,dog\ncat,0,inf\ndog,1,0\n", "is no number: `inf`"),
        ("t,cat,dog\ncat,0,1,2\ndog,1,0\n", "more costs of `cat` than answers"),
    ],
)
def test_a_table_that_is_not_whole_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_costs(table(tmp_path, text), CLASSES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.csv` cannot be read: No such file"):
        read_costs(str(tmp_path / "nowhere.csv"), CLASSES)
    with pytest.raises(UserError, match="cannot be read"):
        (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
        read_costs(str(tmp_path / "binary.csv"), CLASSES)
