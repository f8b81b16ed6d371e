"""`headstart predict`: rows to stdout or a file, and every mistake that needs no model before the model."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import pipelines.predict
from app.commands.predict import _bar_until_first
from app.console import Terminal
from pipelines.inference.decisions import Decisions
from pipelines.inference.prediction import Columns, Prediction
from pipelines.inference.prediction_rows import FORMATS
from tests.app.test_main import Headstart

COLUMNS = Columns(class_names=("cat", "dog"))
ROWS = (
    Prediction(path="a.png", status="ok", label="cat", probability=0.75, top_k=(("cat", 0.75), ("dog", 0.25))),
    Prediction(path="b.png", status="unreadable", reason="not an image"),
    Prediction(path="c.png", status="ok", label="dog", probability=0.5, top_k=(("dog", 0.5), ("cat", 0.5))),
)


Calls: TypeAlias = list[dict[str, Any]]  # arguments of several types, by name


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the verb was called with; it predicts all of ROWS that are readable, or all of them for `mixed`."""
    calls: Calls = []

    def predict(run: str, paths: list[str], **options: object) -> tuple[Columns, Iterator[Prediction]]:
        calls.append({"run": run, "paths": paths, **options})
        return COLUMNS, iter(row for row in ROWS if row.status == "ok" or paths == ["mixed"])

    monkeypatch.setattr(pipelines.predict, "predict", predict)
    monkeypatch.setattr("pipelines.runs.read_manifest.read_manifest", lambda run: None)
    return calls


def test_options_reach_the_verb(headstart: Headstart, calls: Calls) -> None:
    headstart("predict", "runs/a", "a.png", "photos/", "--top-k", 2, "--tta", "flip", "--members")
    (call,) = calls
    terminal, stdin = call.pop("reporter"), call.pop("stdin")
    assert call == {
        "run": "runs/a",
        "paths": ["a.png", "photos/"],
        "top_k": 2,
        "tta": "flip",
        "members": True,
        "scores": False,
        "decisions": Decisions(),
    }
    assert isinstance(terminal, Terminal) and terminal.allows_bars  # stdout is not a terminal here
    assert hasattr(stdin, "read")


def test_rows_are_a_table_on_stdout_by_default(headstart: Headstart, calls: Calls) -> None:
    result = headstart("predict", "runs/a", "photos/")
    assert (result.code, result.err) == (0, "")
    assert [line.split()[:2] for line in result.out.splitlines()] == [
        ["label", "probability"],
        ["cat", "0.750"],
        ["dog", "0.500"],
    ]
    (call,) = calls
    assert (call["top_k"], call["tta"], call["members"]) == (5, None, False)


def test_unreadable_inputs_are_counted_after_all_rows_and_exit_with_1(headstart: Headstart, calls: Calls) -> None:
    result = headstart("predict", "runs/a", "mixed", "--format", "jsonl")
    assert [json.loads(line)["status"] for line in result.out.splitlines()] == ["ok", "unreadable", "ok"]
    assert (result.code, result.err) == (1, "warning: 1 of 3 inputs is unreadable: see its row\n")


def test_rows_go_to_a_file(headstart: Headstart, calls: Calls, tmp_path: Path) -> None:
    result = headstart("predict", "runs/a", "photos/", "--format", "csv", "--out", tmp_path / "rows.csv")
    assert (result.code, result.out) == (0, "")
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "xlsx"), "unknown format: `xlsx`"),
        (("--tta", "flop"), "unknown views: `flop`"),
        (("--out", "/nowhere/rows.csv"), "`/nowhere` of --out"),
        (("--scores",), "--scores has no place in the table"),
        (("--coverage", "1"), "a coverage of 1 is not between 0 and 1"),
        (("--per-class",), "--per-class is about sets"),
        (("--escape-formulas",), "--escape-formulas is for CSV, not for `table`"),
    ],
)
def test_a_wrong_value_ends_before_the_verb(
    headstart: Headstart, calls: Calls, arguments: tuple[str, ...], message: str
) -> None:
    result = headstart("predict", "runs/a", "photos/", *arguments)
    assert (result.code, result.out, calls) == (1, "", [])
    assert message in result.err


def test_a_missing_run_is_named(headstart: Headstart) -> None:
    result = headstart("predict", "nowhere", "photos/")
    assert (result.code, result.out) == (1, "")
    assert "no run at `nowhere`" in result.err


def test_help_lists_the_formats_of_the_table(headstart: Headstart) -> None:
    assert f"--format {'|'.join(FORMATS)}" in headstart("predict", "--help").out


def test_an_unknown_format_is_refused_before_the_run_is_read(headstart: Headstart) -> None:
    result = headstart("predict", "nowhere", "photos/", "--format", "cvs")
    assert (result.code, result.out) == (1, "")
    assert "unknown format: `cvs`" in result.err


@pytest.mark.parametrize(("options", "shown"), [((), "=1+1.png"), (("--escape-formulas",), "'=1+1.png")])
def test_formulas_are_escaped_on_request(
    headstart: Headstart, calls: Calls, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], shown: str
) -> None:
    row = Prediction(path="=1+1.png", status="ok", label="cat", probability=0.75)
    monkeypatch.setattr(pipelines.predict, "predict", lambda *_, **__: (COLUMNS, iter([row])))
    result = headstart("predict", "runs/a", "photos/", "--format", "csv", *options)
    assert [line["path"] for line in csv.DictReader(result.out.splitlines())] == [shown]


def test_other_files_in_a_folder_are_counted_and_no_failure(
    headstart: Headstart, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Prediction(path="photos/notes.txt", status="not an image", reason="not an image but text")
    rows = [ROWS[0], notes]
    monkeypatch.setattr(pipelines.predict, "predict", lambda *_, **__: (COLUMNS, iter(rows)))
    result = headstart("predict", "runs/a", "photos/")
    assert (result.code, result.err) == (0, "1 file in the folders is not an image and has no row\n")
    assert "notes.txt" not in result.out
    rows = [notes, notes]
    result = headstart("predict", "runs/a", "photos/", "--format", "jsonl")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "2 files in the folders are not images and have no row\nwarning: there are no images among the inputs\n"
    )


def test_on_a_terminal_the_first_row_is_waited_for_under_a_bar_and_no_bar_runs_through_the_rows() -> None:
    terminal, seen = Terminal(), []

    def rows() -> Iterator[Prediction]:
        for row in ROWS:
            seen.append(terminal.allows_bars)
            yield row

    assert terminal.allows_bars
    assert list(_bar_until_first(terminal, rows())) == list(ROWS)
    assert seen == [False, False, False]
    assert list(_bar_until_first(terminal, iter(()))) == []
