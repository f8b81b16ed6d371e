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
    lines = ["headstart", *(_words(parameter) for parameter in group.params)]
    for name, command in group.commands.items():
        lines += ["", f"headstart {name}"]
        lines += [
            _words(parameter)
            for parameter in command.params
            if not (isinstance(parameter, TyperOption) and is_everywhere(parameter))
        ]
    return "\n".join(lines) + "\n"


def _words(parameter: object) -> str:
    assert isinstance(parameter, TyperOption | TyperArgument)
    words = (
        ["   ", parameter.metavar or parameter.name.upper()]
        if isinstance(parameter, TyperArgument)
        else ["   ", *parameter.opts]
    )
    words += parameter.secondary_opts
    if choices := parameter.type_descriptor.choices:
        words.append("|".join(str(choice) for choice in choices))
    if parameter.required:
        words.append("required")
    elif parameter.default not in (None, False) and not callable(parameter.default):
        words.append(f"default {parameter.default}")
    if parameter.multiple if isinstance(parameter, TyperOption) else parameter.nargs != 1:
        words.append("repeated")
    if parameter.envvar:
        words.append(f"${parameter.envvar}")
    return " ".join(words)


def test_surface_is_the_one_written_down() -> None:
    current = surface()
    if os.environ.get("HEADSTART_WRITE_SURFACE"):
        SURFACE.write_text(current, encoding="utf-8")
    assert current == SURFACE.read_text(encoding="utf-8"), "options have changed: if so intended, `make surface`"


def test_no_option_reads_a_variable_that_means_something_else() -> None:
    taken = {"HEADSTART_CACHE", "HEADSTART_CACHE_LIMIT", "HEADSTART_VERSION"}
    assert not taken & {word.strip("$") for word in surface().split() if word.startswith("$")}
