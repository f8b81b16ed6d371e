"""The options of every command: on either side of its name, or by a variable that a flag outweighs."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer

import app.cli
from app.cli import COMMANDS, command_line
from app.console import Terminal, Verbosity
from app.options.everywhere import EVERYWHERE, terminal_of
from tests.app.test_main import Headstart


@pytest.fixture
def terminals(monkeypatch: pytest.MonkeyPatch) -> list[Terminal]:
    """The terminal of each run of `headstart look`."""
    terminals: list[Terminal] = []

    def look(context: typer.Context) -> None:
        """Look."""
        terminals.append(terminal_of(context))

    monkeypatch.setitem(app.cli.COMMANDS, "look", look)
    return terminals


def test_quiet_and_verbose_are_taken_on_either_side_of_the_command(headstart: Headstart) -> None:
    assert headstart("-q", "backbones", "-v").code == 2
    assert headstart("backbones", "-q").code == 0


@pytest.mark.parametrize(
    ("words", "verbosity", "colour"),
    [
        ((), Verbosity.NORMAL, "auto"),
        (("-q",), Verbosity.QUIET, "auto"),
        (("--quiet", "-q"), Verbosity.QUIET, "auto"),
        (("-v",), Verbosity.VERBOSE, "auto"),
        (("--verbose", "--color", "always"), Verbosity.VERBOSE, "always"),
        (("--color", "never"), Verbosity.NORMAL, "never"),
    ],
)
def test_an_option_says_the_same_before_the_command_and_after_it(
    headstart: Headstart, terminals: list[Terminal], words: tuple[str, ...], verbosity: Verbosity, colour: str
) -> None:
    assert headstart(*words, "look").code == headstart("look", *words).code == 0
    assert [(terminal.verbosity, terminal.colour) for terminal in terminals] == [(verbosity, colour)] * 2


def test_an_option_may_be_said_on_both_sides(headstart: Headstart, terminals: list[Terminal]) -> None:
    assert [headstart(flag, "look", flag).code for flag in ("-q", "-v")] == [0, 0]
    assert [terminal.verbosity for terminal in terminals] == [Verbosity.QUIET, Verbosity.VERBOSE]


def test_a_flag_before_the_command_wins_over_its_variable_too(
    headstart: Headstart, terminals: list[Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_COLOR", "always")
    headstart("--color", "never", "look")
    assert [terminal.colour for terminal in terminals] == ["never"]


@pytest.mark.parametrize("words", [("-q", "-v", "look"), ("-v", "look", "-q"), ("look", "-q", "-v")], ids=" ".join)
def test_quiet_and_verbose_exclude_each_other_in_words(
    headstart: Headstart, terminals: list[Terminal], words: tuple[str, ...]
) -> None:
    result = headstart(*words)
    assert (result.code, terminals) == (2, [])
    assert "--quiet and --verbose exclude each other" in result.err


@pytest.mark.parametrize("words", [("-v", "look"), ("look", "-v"), ("look", "--verbose", "-v")], ids=" ".join)
def test_a_flag_wins_over_the_variable_of_its_opposite(
    headstart: Headstart, terminals: list[Terminal], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HEADSTART_QUIET", "1")
    assert headstart(*words).code == 0
    monkeypatch.delenv("HEADSTART_QUIET")
    monkeypatch.setenv("HEADSTART_VERBOSE", "1")
    assert headstart("look", "-q").code == headstart("-q", "look").code == 0
    assert [terminal.verbosity for terminal in terminals] == [Verbosity.VERBOSE, Verbosity.QUIET, Verbosity.QUIET]


def test_two_variables_that_contradict_each_other_are_an_error(
    headstart: Headstart, terminals: list[Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_QUIET", "1")
    monkeypatch.setenv("HEADSTART_VERBOSE", "1")
    result = headstart("look")
    assert (result.code, terminals) == (2, [])
    assert "exclude each other" in result.err


def test_the_later_colour_wins(headstart: Headstart, terminals: list[Terminal]) -> None:
    headstart("--color", "always", "look", "--color", "never")
    assert [terminal.colour for terminal in terminals] == ["never"]


@pytest.mark.parametrize(
    ("variable", "value", "verbosity", "colour"),
    [
        ("HEADSTART_QUIET", "1", Verbosity.QUIET, "auto"),
        ("HEADSTART_VERBOSE", "1", Verbosity.VERBOSE, "auto"),
        ("HEADSTART_COLOR", "never", Verbosity.NORMAL, "never"),
        ("HEADSTART_LOOK_QUIET", "1", Verbosity.NORMAL, "auto"),  # a variable of no command's own
    ],
)
def test_a_variable_sets_an_option_of_every_command(
    headstart: Headstart,
    terminals: list[Terminal],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    verbosity: Verbosity,
    colour: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert headstart("look").code == 0
    assert [(terminal.verbosity, terminal.colour) for terminal in terminals] == [(verbosity, colour)]


def test_a_flag_wins_over_its_variable(headstart: Headstart, monkeypatch: pytest.MonkeyPatch) -> None:
    terminals: list[Terminal] = []

    def look(context: typer.Context) -> None:
        """Look."""
        terminals.append(terminal_of(context))

    monkeypatch.setitem(app.cli.COMMANDS, "look", look)
    monkeypatch.setenv("HEADSTART_COLOR", "always")
    headstart("look")
    headstart("look", "--color", "never")
    assert [terminal.colour for terminal in terminals] == ["always", "never"]


def test_an_option_of_a_command_has_the_variable_of_its_longest_flag(
    headstart: Headstart, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []

    def pace(
        top: Annotated[int, typer.Option("-t", "--top-speed")] = 1,
        steady: Annotated[bool, typer.Option("--steady/--no-steady")] = True,
    ) -> None:
        """Pace."""
        seen.append((top, steady))

    monkeypatch.setitem(app.cli.COMMANDS, "pace", pace)
    monkeypatch.setenv("HEADSTART_PACE_TOP_SPEED", "7")
    monkeypatch.setenv("HEADSTART_PACE_STEADY", "0")
    headstart("pace")
    headstart("pace", "-t", "3", "--steady")
    assert seen == [(7, False), (3, True)]


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_every_page_ends_its_options_with_them_and_shows_no_variable(
    headstart: Headstart, command: tuple[str, ...]
) -> None:
    options = headstart(*command, "--help").out.partition(f"\n{EVERYWHERE}:\n")[2]
    assert [word for word in options.split() if word.startswith("--")][:3] == ["--quiet", "--verbose", "--color"]
    assert "env var" not in options


def test_command_lines_that_are_built_one_after_the_other_do_not_add_up() -> None:
    first, second = (command_line().commands["cache"].params for _ in range(2))
    assert [parameter.name for parameter in first] == [parameter.name for parameter in second]
    assert [parameter.name for parameter in second].count("quiet") == 1
