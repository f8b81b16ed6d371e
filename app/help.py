"""Formats help as plain text, options under headings, without rich; and runs a command with a quiet TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from app.options.everywhere import is_everywhere, terminal_of
from app.options.near_misses import nearest_options
from app.quiet import quiet_tensorflow

# Typer keeps its copies of click's Context and HelpFormatter private, and an override must accept theirs.
ClickContext: TypeAlias = Any
Formatter: TypeAlias = Any  # likewise

# Typer's names of types and ranges, and what help has in their place.
_TYPES = ((re.compile(r"<int( range)?>"), "N"), (re.compile(r"<float( range)?>"), "X"), (re.compile(r"<(.*)>"), r"\1"))
_RANGES = (
    (re.compile(r"\b([\d.e-]+)<=x<=([\d.e-]+)(?=\]|;)"), r"\1 to \2"),
    (re.compile(r"\bx>=([\d.e-]+)(?=\]|;)"), r"at least \1"),
    (re.compile(r"\bx<=([\d.e-]+)(?=\]|;)"), r"at most \1"),
    (re.compile(r"\[default: \(([^()]*)\)(?=\]|;)"), r"[default: \1"),
)


# The options that `--help` of a command shows, where it has too many for one page; `--help-all` shows all.
FIRST_OPTIONS = {
    "train": (
        *("--out", "--force", "--backbone", "--image-size", "--head"),
        *("--augment", "--fine-tune", "--epochs", "--folds", "--seed"),
    )
}
_SHOWS_ALL = "headstart.shows-all-options"


def show_all_options(context: typer.Context, is_given: bool) -> None:
    """Print the help of a command with all of its options, and end; the callback of `--help-all`."""
    if is_given:
        context.meta[_SHOWS_ALL] = True
        typer.echo(context.get_help())
        raise typer.Exit


HelpAll = Annotated[
    bool, typer.Option("--help-all", is_eager=True, callback=show_all_options, help="Show all options and exit.")
]


class PlainCommand(TyperCommand):
    """A command whose options stand under their headings (`rich_help_panel`), and that runs with a quiet TensorFlow."""

    def collect_usage_pieces(self, ctx: ClickContext) -> list[str]:
        """The words of the usage line: arguments as their metavars name them."""
        arguments = [parameter for parameter in self.params if isinstance(parameter, TyperArgument)]
        return [self.options_metavar or "", *(_usage(argument) for argument in arguments)]

    def format_options(self, ctx: ClickContext, formatter: Formatter) -> None:
        """Write arguments and options under their headings."""
        _write_options(self, ctx, formatter)

    def invoke(self, ctx: ClickContext) -> object:
        """Run the command; `-v` shows which options were set by variables."""
        terminal = terminal_of(ctx)
        for line in _options_from_variables(self, ctx):
            terminal.detail(line)
        quiet_tensorflow(verbose=terminal.is_verbose, announce=lambda name: terminal.task(name, None))
        return super().invoke(ctx)


class PlainGroup(TyperGroup):
    """The command line itself, its help formatted as that of its commands."""

    def format_options(self, ctx: ClickContext, formatter: Formatter) -> None:
        """Write the commands, then the options under their headings."""
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)


def usage(error: typer.TyperException) -> str:
    """The lines above the error of a wrong usage; empty where it is not known whose usage it is."""
    context = getattr(error, "ctx", None)
    if context is None:
        return ""
    return f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\n"


def message(error: typer.TyperException) -> tuple[str, str]:
    """What is wrong in a wrong usage, and a hint: of an unknown option those that are near; empty where none is."""
    name, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if name is None or context is None or not hasattr(error, "possibilities"):
        # "Value error, " is pydantic's, which checks values for Typer.
        return error.format_message().replace(": Value error, ", ": "), ""
    options = [flag for option in context.command.params for flag in (*option.opts, *option.secondary_opts)]
    nearest = nearest_options(name, [flag for flag in options if flag.startswith("--")])
    hint = f"did you mean {' or '.join(f'`{flag}`' for flag in nearest)}?" if nearest else ""
    return f"unknown option: `{name}`", hint


def keep_lines(text: str) -> str:
    """`text` with marks that keep the lines of indented paragraphs and of examples when help is wrapped."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        f"\b\n{paragraph}" if paragraph.startswith((" ", "headstart ")) else paragraph for paragraph in paragraphs
    )


def _usage(argument: TyperArgument) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _write_options(command: PlainCommand | PlainGroup, context: typer.Context, formatter: Formatter) -> None:
    headings: dict[str, list[tuple[str, str]]] = {}
    first = () if context.meta.get(_SHOWS_ALL) else FIRST_OPTIONS.get(command.name or "", ())
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        names, text = record
        heading = "Options"
        if isinstance(parameter, TyperArgument):
            heading, names = "Arguments", parameter.metavar or parameter.name.upper()
        if isinstance(parameter, TyperOption | TyperArgument):
            heading = parameter.rich_help_panel or heading
        if first and isinstance(parameter, TyperOption) and not is_everywhere(parameter):
            if not {*first, "--help", "--help-all"} & {*parameter.opts}:
                continue
            heading = "Options that matter most"
        headings.setdefault(heading, []).append((_replaced(names, _TYPES), _replaced(text, _RANGES)))
    for heading, records in headings.items():
        with formatter.section(heading):
            formatter.write_dl(records)
    if first:
        with formatter.section("All options"):
            formatter.write_text(f"{context.command_path} --help-all")


def _replaced(text: str, replacements: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for pattern, replacement in replacements:
        text = pattern.sub(replacement, text)
    return text


def _options_from_variables(command: TyperCommand, context: typer.Context) -> list[str]:
    """One line for each option that a variable has set."""
    lines = []
    for parameter in command.params:
        if not isinstance(parameter, TyperOption):
            continue
        source = context.get_parameter_source(parameter.name)
        if source is not None and source.name == "ENVIRONMENT":
            lines.append(f"`{parameter.opts[0]} {context.params.get(parameter.name)}` from {parameter.envvar}")
    return lines
