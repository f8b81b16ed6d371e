"""Commands with help as plain text: options under headings, nothing drawn, nothing cut, and no rich imported for it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from app.options.everywhere import terminal_of
from app.quiet import quiet_tensorflow


class PlainCommand(TyperCommand):
    """A command whose options stand under their headings (`rich_help_panel`), and that runs with a quiet TensorFlow."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options under their headings."""
        _write_options(self, ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run it; what variables have set is said with `-v`."""
        terminal = terminal_of(ctx)
        for line in _chosen_by_variable(self, ctx):
            terminal.detail(line)
        quiet_tensorflow(verbose=terminal.is_verbose)
        return super().invoke(ctx)


class PlainGroup(TyperGroup):
    """The command line itself, in the same plain form."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options under their headings."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)


def _write_options(command: PlainCommand | PlainGroup, context: typer.Context, formatter: Any) -> None:
    headings: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None:
            heading = "Arguments" if isinstance(param, TyperArgument) else "Options"
            if isinstance(param, TyperOption | TyperArgument):
                heading = param.rich_help_panel or heading
            headings.setdefault(heading, []).append(record)
    for heading, records in headings.items():
        with formatter.section(heading):
            formatter.write_dl(records)


def _chosen_by_variable(command: TyperCommand, context: typer.Context) -> list[str]:
    """One line for each option that a variable set, for `-v`."""
    lines = []
    for param in command.params:
        if not isinstance(param, TyperOption):
            continue
        source = context.get_parameter_source(param.name)
        if source is not None and source.name == "ENVIRONMENT":
            lines.append(f"`{param.opts[0]} {context.params.get(param.name)}` from {param.envvar}")
    return lines


def usage(problem: typer.TyperException) -> str:
    """The lines that stand above the error of a wrong usage."""
    context = getattr(problem, "ctx", None)
    if context is None:
        return ""
    return f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n"


def keep_lines(text: str) -> str:
    """`text` with its indented paragraphs and its examples marked so that help prints them line by line."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(f"\b\n{each}" if each.startswith((" ", "headstart ")) else each for each in paragraphs)
