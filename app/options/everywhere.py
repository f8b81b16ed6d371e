"""The options that every command has (`-q`, `-v`, `--color`), before the command's name or after it."""

from __future__ import annotations

import copy
from typing import Annotated

import typer
from typer.core import TyperGroup, TyperOption

from app.colour import Colour
from app.console import Terminal, Verbosity

EVERYWHERE = "Options of every command"


def terminal_of(context: typer.Context) -> Terminal:
    """The Terminal of the running command line."""
    terminal = context.find_root().obj
    assert isinstance(terminal, Terminal), "run() passes one"
    return terminal


def _set_verbosity(context: typer.Context, parameter: typer.CallbackParam, verbosity: Verbosity) -> None:
    terminal = terminal_of(context)
    source = context.get_parameter_source(str(parameter.name))
    is_flag = source is None or source.name != "ENVIRONMENT"
    is_contradiction = terminal.verbosity not in (Verbosity.NORMAL, verbosity)
    if is_contradiction and is_flag == terminal.verbosity_is_flag:
        raise typer.BadParameter("--quiet and --verbose exclude each other", ctx=context)
    if is_flag or not terminal.verbosity_is_flag:
        terminal.verbosity, terminal.verbosity_is_flag = verbosity, is_flag


def _quiet(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> None:
    if value:
        _set_verbosity(context, parameter, Verbosity.QUIET)


def _verbose(context: typer.Context, parameter: typer.CallbackParam, value: bool) -> None:
    if value:
        _set_verbosity(context, parameter, Verbosity.VERBOSE)


def _color(context: typer.Context, value: Colour | None) -> None:
    if value is not None:
        terminal_of(context).colour = value


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_quiet, help="Show only errors and warnings.", rich_help_panel=EVERYWHERE),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=_verbose,
        help="Show more: timings, where settings come from, TensorFlow's own lines.",
        rich_help_panel=EVERYWHERE,
    ),
]
Color = Annotated[
    Colour | None,
    typer.Option(
        "--color",
        callback=_color,
        show_default=False,
        help="When to colour; auto, the default: on a terminal, unless NO_COLOR is set.",
        rich_help_panel=EVERYWHERE,
    ),
]


def spread(group: TyperGroup) -> None:
    """Give every option its variable, and the options of every command to every command.

    `--fine-tune` of `train` is HEADSTART_TRAIN_FINE_TUNE, `--color` HEADSTART_COLOR. The help page names the rule, not
    every variable.
    """
    everywhere = [option for option in group.params if isinstance(option, TyperOption) and is_everywhere(option)]
    for option in everywhere:
        _name_variable(option, "HEADSTART")
    for name, command in group.commands.items():
        for parameter in command.params:
            if isinstance(parameter, TyperOption):
                _name_variable(parameter, f"HEADSTART_{name}")
        for option in everywhere:
            copied = copy.copy(option)
            copied.envvar, copied.expose_value = None, False  # the variable has been read before the command's name
            command.params.append(copied)


def _name_variable(option: TyperOption, prefix: str) -> None:
    if option.name == "help_all":
        return
    flag = max(option.opts, key=len).strip("-")
    option.envvar = f"{prefix}_{flag}".replace("-", "_").upper()
    option.show_envvar = False


def is_everywhere(option: TyperOption) -> bool:
    """Whether an option is one of those that every command has."""
    return option.rich_help_panel == EVERYWHERE
