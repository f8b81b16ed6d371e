"""Every `headstart` line of README and RECIPES is one that the command line takes: options, values and names exist."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from app.cli import command_line
from app.console import Terminal
from app.options import completion

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "RECIPES.md")
PIPES = frozenset({"|", ">", "<", "&&", ";"})  # what a shell takes out of a line before headstart sees it
# Option -> the names that it takes; those of its values that are files or runs have a slash or a suffix.
NAMES: dict[str, Callable[[str], list[str]]] = {
    "--backbone": completion.complete_backbone,
    "--head": completion.complete_head,
    "--augment": completion.complete_policy,
    "--method": completion.complete_method,
    "--engine": completion.complete_engine,
    "--weights": completion.complete_weights,
}


def documented(text: str) -> Iterator[str]:
    """The commands of a page: lines of code blocks, and code within sentences (which may go on in the next line)."""
    for line in text.splitlines():
        if line.startswith("    ") and (found := re.search(r"(?:^|[|] *)headstart .*", line.strip())):
            yield found.group().lstrip("| ")
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    for code in re.findall(r"`([^`]+)`", prose):
        code = " ".join(code.split())
        # A heading of a table ends where the rows go on with an option.
        if code.startswith("headstart ") and not code.endswith("--backbone"):
            yield code


def arguments_of(line: str) -> list[str]:
    """What headstart is given by a line of a shell, `...` left out."""
    words = shlex.split(line, comments=True)[1:]
    end = next((place for place, word in enumerate(words) if word in PIPES), len(words))
    return [word for word in words[:end] if word != "..."]


COMMAND_LINE = command_line()
LINES = sorted({line for page in PAGES for line in documented((ROOT / page).read_text(encoding="utf-8"))})


def refuse(arguments: list[str]) -> None:
    """Raise where the command line does not take the arguments; run nothing."""
    name, *others = arguments
    command = COMMAND_LINE.commands[name]
    # A command that is named without its arguments, as in "`headstart cache` shows", is complete in itself.
    required = [parameter for parameter in command.params if parameter.required]
    if not others and required:
        return
    try:
        command.make_context(name, list(others), obj=Terminal())
    except typer.Exit as help_shown:
        assert not help_shown.exit_code
    for option, value in itertools.pairwise(others):
        is_name = option in NAMES and not re.search(r"[/.:]", value)
        assert not is_name or value in NAMES[option](""), f"{option} {value}: no such name"


def test_both_pages_have_commands() -> None:
    assert len(LINES) > 30
    assert {arguments_of(line)[0] for line in LINES} >= {
        "train",
        "predict",
        "evaluate",
        "export",
        "ensemble",
        "compare",
    }


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_is_one_that_the_command_line_takes(line: str) -> None:
    arguments = arguments_of(line)
    if arguments[0].startswith("--"):  # of the program itself
        assert arguments[0] in {option for parameter in COMMAND_LINE.params for option in parameter.opts}
        return
    refuse(arguments)


@pytest.mark.parametrize(
    "line",
    [
        "headstart train photos/ --no-such-option",
        "headstart train photos/ --fit stretch",
        "headstart train photos/ --backbone mobilenet_v9",
        "headstart export runs/a --format tflite --no",
        "headstart train photos/ --folds many",
    ],
)
def test_a_line_that_has_rotted_is_noticed(line: str) -> None:
    with pytest.raises((typer.TyperException, AssertionError)):
        refuse(arguments_of(line))
