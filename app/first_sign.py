"""Shows on a terminal that a command has begun, before the imports that it needs are made.

To import Typer, which imports pydantic, and to build the options takes half a second on a slow machine, and what a
command imports beyond them as long again. The line goes where anything else is printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from app.colour import is_live

# Commands that have something to wait for.
LONG_COMMANDS = frozenset(
    {"demo", "train", "ensemble", "evaluate", "compare", "report", "audit", "explain", "predict", "export", "preview"}
)
SILENT = ("--help", "--help-all", "--quiet", "--version")
ERASE = "\r\033[K"

_shown: list[str] = []


def show_first_sign(arguments: Sequence[str]) -> None:
    """Show that a command begins, where stderr is a terminal and the command neither quiet nor asked for help.

    Args:
        arguments: of the process, the command first.
    """
    if not arguments or arguments[0] not in LONG_COMMANDS or not is_live(sys.stderr) or _is_silent(arguments[1:]):
        return
    with suppress(OSError):  # the terminal has gone: what the command does need not end with it
        sys.stderr.write(f"{arguments[0]}: starting")
        sys.stderr.flush()
        _shown.append(arguments[0])


def erase_first_sign() -> None:
    """Erase the line, where it is still shown, because something else is printed."""
    if _shown:
        _shown.clear()
        with suppress(OSError):
            sys.stderr.write(ERASE)
            sys.stderr.flush()


def _is_silent(options: Sequence[str]) -> bool:
    variables = ("HEADSTART_QUIET", "_HEADSTART_COMPLETE")
    short = [option for option in options if option.startswith("-") and not option.startswith("--")]
    return (
        any(os.environ.get(name) for name in variables)
        or any(option in SILENT for option in options)
        or any(letter in option for option in short for letter in "qh")
    )
