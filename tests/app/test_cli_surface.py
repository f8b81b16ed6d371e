"""The command line's surface, frozen: a new or changed option is a decision, made by `make surface`."""

from __future__ import annotations

import os
from pathlib import Path

from typer.core import TyperArgument, TyperOption

from app.cli import command_line
from app.options.everywhere import is_everywhere

SURFACE = Path(__file__).with_name("surface.txt")


def surface() -> str:
    """Every command with its arguments, options, variables and defaults, as text."""
    group = command_line()
    lines = ["headstart", *(_words(each) for each in group.params)]
    for name, command in group.commands.items():
        lines += ["", f"headstart {name}"]
        own = [each for each in command.params if not (isinstance(each, TyperOption) and is_everywhere(each))]
        lines += [_words(each) for each in own]
    return "\n".join(lines) + "\n"


def _words(param: object) -> str:
    assert isinstance(param, TyperOption | TyperArgument)
    words = ["   ", param.metavar or param.name.upper()] if isinstance(param, TyperArgument) else ["   ", *param.opts]
    words += param.secondary_opts
    if choices := param.type_descriptor.choices:
        words.append("|".join(str(each) for each in choices))
    if param.required:
        words.append("required")
    elif param.default not in (None, False) and not callable(param.default):
        words.append(f"default {param.default}")
    if param.multiple if isinstance(param, TyperOption) else param.nargs != 1:
        words.append("repeated")
    if param.envvar:
        words.append(f"${param.envvar}")
    return " ".join(words)


def test_surface_is_the_one_written_down() -> None:
    now = surface()
    if os.environ.get("HEADSTART_WRITE_SURFACE"):
        SURFACE.write_text(now, encoding="utf-8")
    assert now == SURFACE.read_text(encoding="utf-8"), "options have changed: if so intended, `make surface`"


def test_no_option_reads_a_variable_that_means_something_else() -> None:
    taken = {"HEADSTART_CACHE", "HEADSTART_CACHE_LIMIT", "HEADSTART_VERSION"}
    assert not taken & {word.strip("$") for word in surface().split() if word.startswith("$")}


def test_every_command_says_what_it_does_with_an_example() -> None:
    for name, command in command_line().commands.items():
        assert command.help and f"headstart {name}" in command.help, name
        for param in command.params:
            assert getattr(param, "help", None), f"{name}: {param.name} has no help"
