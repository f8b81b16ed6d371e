"""Builds the command line from a table of commands, with a flag and a variable for every option.

A command is a function in `app/commands/`; adding one is an entry in COMMANDS. Its options can be given by a flag or by
a variable (`--backbone` of `train`: HEADSTART_TRAIN_BACKBONE); the flag wins.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated

import typer
from typer.core import TyperGroup
from typer.main import get_command

from app.commands import (
    audit,
    backbones,
    cache,
    compare,
    demo,
    ensemble,
    evaluate,
    explain,
    export,
    predict,
    preview,
    report,
    train,
)
from app.console import Terminal
from app.help import PlainCommand, PlainGroup, keep_lines
from app.options.everywhere import Color, Quiet, Verbose, spread, terminal_of

# In the order of the help page.
COMMANDS: dict[str, Callable[..., object]] = {
    "demo": demo.demo,
    "train": train.train,
    "ensemble": ensemble.ensemble,
    "evaluate": evaluate.evaluate,
    "compare": compare.compare,
    "report": report.report,
    "audit": audit.audit,
    "predict": predict.predict,
    "explain": explain.explain,
    "export": export.export,
    "preview": preview.preview,
    "backbones": backbones.backbones,
    "cache": cache.cache,
}
EPILOG = """\
Exit codes:

  0    success
  1    something you can fix: the error says what, the hint how
  2    wrong usage
  3    a quality gate failed
  70   a bug in headstart
  130  interrupted: the same command resumes

A variable sets an option unless a flag does: HEADSTART_TRAIN_BACKBONE sets
`--backbone` of `train`, HEADSTART_COLOR sets `--color` of every command."""


def headstart(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version; with -v also those of Python, Keras and TensorFlow.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    color: Color = None,
) -> None:
    """Train, evaluate, combine and export image classifiers on your own images.

    headstart demo
    headstart train photos/
    """
    if version:
        _print_versions(terminal_of(context))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    else:
        return
    raise typer.Exit


def _print_versions(terminal: Terminal) -> None:
    from pipelines.system.versions import versions

    others = versions()
    terminal.data(others.pop("headstart"))
    if terminal.is_verbose:
        for name, version in others.items():
            terminal.data(f"{name} {version}")


def _help_text(function: Callable[..., object]) -> str:
    return keep_lines(inspect.getdoc(function) or "")


def command_line() -> TyperGroup:
    """The whole command line, built from COMMANDS."""
    app = typer.Typer(
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(cls=PlainGroup, invoke_without_command=True, help=_help_text(headstart), epilog=keep_lines(EPILOG))(
        headstart
    )
    for name, function in COMMANDS.items():
        app.command(name, cls=PlainCommand, help=_help_text(function))(function)
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    spread(group)
    return group
