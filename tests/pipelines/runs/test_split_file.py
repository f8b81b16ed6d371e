"""`split.csv` is read strictly: what is damaged is named with its row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.examples import Example
from pipelines.runs.folder import write_examples
from pipelines.runs.layout import SPLIT_FILE
from pipelines.runs.split_file import read_rows, read_split

HEADER = "path,label,split,sha256\n"
ROW = f"/p/1.png,cat,train,{'ab' * 32}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + ROW + ROW.replace("train", "trian"), "row 2: `split`"),
        (HEADER + ROW.replace("ab" * 32, "ab" * 31), "row 1: `sha256`"),
        (HEADER + ROW.replace("ab", "xy"), "row 1: `sha256`"),
        (HEADER + ROW + "/p/2.png,cat\n", "row 2: `split`"),
        ("path,label\n/p/1.png,cat\n", "row 1: `split`"),
        (HEADER + f'"{"x" * 200_000}",cat,train,{"ab" * 32}\n', "row 1: field larger than field limit"),
        (HEADER + ROW + ROW.replace("cat", "d\nog"), "row 2: "),
        (HEADER + ROW.replace("cat", "fox"), "class `fox` is not one of the run's"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / SPLIT_FILE).write_text(content)
    with pytest.raises(UserError) as caught:
        read_split(tmp_path, ("cat", "dog"))
    assert caught.value.message.startswith(f"`{tmp_path / SPLIT_FILE}` is damaged: ")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"has no `{SPLIT_FILE}`"):
        read_rows(tmp_path)


def test_other_columns_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / SPLIT_FILE).write_text("note," + HEADER + "x," + ROW)
    (example,) = read_split(tmp_path, ("dog", "cat"))
    assert (example.path, example.label, example.split, example.sha256) == ("/p/1.png", 1, "train", "ab" * 32)


def test_groups_come_back_and_are_a_column_only_where_there_are_any(tmp_path: Path) -> None:
    groups = (None, "p", os.fsdecode(b'a "b",\n\x1b\xff'), None)
    grouped = tuple(
        Example(path=f"/{number}", label=0, split="train", sha256=f"{number:064x}", source=f"/{number}", group=group)
        for number, group in enumerate(groups)
    )
    write_examples(tmp_path, grouped, ("cat",))
    assert read_split(tmp_path, ("cat",)) == grouped
    assert (tmp_path / SPLIT_FILE).read_bytes().startswith(b"path,label,split,sha256,group\r\n/0,cat,train,")
    write_examples(tmp_path, grouped[:1], ("cat",))
    assert (tmp_path / SPLIT_FILE).read_bytes().startswith(b"path,label,split,sha256\r\n")
    assert read_split(tmp_path, ("cat",)) == grouped[:1]


def test_near_duplicates_come_back_beside_groups_and_without(tmp_path: Path) -> None:
    examples = tuple(
        Example(
            path=f"/{number}",
            label=0,
            split="train",
            sha256=f"{number:064x}",
            source=f"/{number}",
            group="p" if number == 1 else None,
            near_duplicate=f"{0:064x}" if number < 2 else None,
        )
        for number in range(3)
    )
    write_examples(tmp_path, examples, ("cat",))
    assert read_split(tmp_path, ("cat",)) == examples
    assert (tmp_path / SPLIT_FILE).read_bytes().startswith(b"path,label,split,sha256,group,near_duplicate\r\n/0,")
    write_examples(tmp_path, examples[:1], ("cat",))
    assert (tmp_path / SPLIT_FILE).read_bytes().startswith(b"path,label,split,sha256,near_duplicate\r\n/0,")
    assert read_split(tmp_path, ("cat",)) == examples[:1]


def test_a_line_that_ends_before_its_group_has_none(tmp_path: Path) -> None:
    (tmp_path / SPLIT_FILE).write_text(HEADER.replace("\n", ",group\n") + ROW)
    assert [row.group for row in read_rows(tmp_path)] == [None]
