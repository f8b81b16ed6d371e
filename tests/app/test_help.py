"""Help is plain text in 80 columns that names arguments, types and ranges as people do."""

from __future__ import annotations

import re

import pytest
import typer

import app.cli
from app.cli import COMMANDS
from app.help import keep_lines, usage
from tests.app.test_main import Headstart

PAGES = [(), *((name,) for name in COMMANDS)]


@pytest.mark.parametrize("command", PAGES, ids=" ".join)
def test_a_page_fits_80_columns_and_has_nothing_of_the_library(headstart: Headstart, command: tuple[str, ...]) -> None:
    result = headstart(*command, "--help")
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= 80
    assert not re.search(r"<(int|float|str|list)|\{|<=|>=|default: \(|…", result.out)


def test_help_of_train_shows_ten_options_and_says_where_the_rest_is(headstart: Headstart) -> None:
    short, whole = headstart("train", "--help"), headstart("train", "--help-all")
    own = short.out.partition("Options that matter most:\n")[2].partition("\n\n")[0]
    flags = re.findall(r"^  (?:-\w, )?(--[\w-]+)", own, re.MULTILINE)
    assert len([flag for flag in flags if not flag.startswith("--help")]) == 10
    assert "headstart train --help-all" in short.out
    assert max(map(len, whole.out.splitlines())) <= 80 and whole.code == 0
    everything = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", whole.out, re.MULTILINE))
    assert {*flags, "--layer-decay", "--boost", "--engine"} <= everything and "--engine" not in short.out


def test_the_list_of_commands_has_whole_sentences(headstart: Headstart) -> None:
    lines = headstart("--help").out.splitlines()
    start = lines.index("Commands:") + 1
    sentences = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[start : start + len(COMMANDS)]}
    assert list(sentences) == list(COMMANDS)
    assert all(sentence.endswith(".") and not sentence.endswith("..") for sentence in sentences.values()), sentences


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("predict", "RUN PATH..."),
        ("compare", "RUN..."),
        ("backbones", "[NAME]"),
        ("cache", "[show|clear]"),
        ("demo", ""),
    ],
)
def test_usage_has_the_arguments_by_their_names(headstart: Headstart, command: str, expected: str) -> None:
    line = headstart(command, "--help").out.splitlines()[0]
    assert line.rstrip() == f"Usage: headstart {command} [OPTIONS] {expected}".rstrip()


def test_types_ranges_and_defaults_are_words(headstart: Headstart, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(
        low: float = typer.Option(0.5, "--low", min=-1.5, max=2.0, help="Low (1<=x<=3)."),
        high: int | None = typer.Option(None, "--high", max=9, show_default="many; or few", help="High."),
        count: int = typer.Option(3, "--count", min=1, rich_help_panel="Counting", help="Count."),
        kind: str = typer.Option("a", "--kind", metavar="a|b", help="Kind."),
    ) -> None:
        """Measure."""

    monkeypatch.setitem(app.cli.COMMANDS, "measure", measure)
    lines = [" ".join(line.split()) for line in headstart("measure", "--help").out.splitlines()]
    assert "--low X Low (1<=x<=3). [default: 0.5; -1.5 to 2.0]" in lines
    assert "--high N High. [default: many; or few; at most 9]" in lines
    assert "--kind a|b Kind. [default: a]" in lines
    assert lines[lines.index("Counting:") + 1] == "--count N Count. [default: 3; at least 1]"


def test_examples_and_indented_paragraphs_keep_their_lines() -> None:
    text = "Train a\nmodel.\n\nheadstart train a\nheadstart train b\n\n  0  success\n  1  error"
    assert keep_lines(text) == (
        "Train a\nmodel.\n\n\b\nheadstart train a\nheadstart train b\n\n\b\n  0  success\n  1  error"
    )


def test_an_error_without_a_command_has_no_usage() -> None:
    assert usage(typer.TyperException("broken")) == ""


def test_a_variable_that_sets_an_option_is_shown_with_verbose_alone(
    headstart: Headstart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_JSON", "1")
    assert headstart("cache").err == ""
    assert "`--json True` from HEADSTART_CACHE_JSON" in headstart("cache", "-v").err
