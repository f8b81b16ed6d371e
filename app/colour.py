"""Decides which streams get colours and redrawn lines, and colours the label of a message without rich."""

from __future__ import annotations

import os
from typing import Literal, TextIO, TypeAlias

Colour: TypeAlias = Literal["auto", "always", "never"]
# Label of a message -> parameters of its ANSI escape sequence ("select graphic rendition").
LABEL_CODES = {"error": "31;1", "hint": "36", "warning": "33;1", "interrupted": "33;1"}


def is_live(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def wants_colour(choice: Colour, stream: TextIO) -> bool:
    """Whether `stream` gets colours; with `auto` a live terminal does, unless `NO_COLOR` is set."""
    if choice != "auto":
        return choice == "always"
    return is_live(stream) and not os.environ.get("NO_COLOR")


def coloured(label: str) -> str:
    """`label:` in the colour of its kind of message.

    Args:
        label: a key of `LABEL_CODES`.
    """
    return f"\033[{LABEL_CODES[label]}m{label}:\033[0m"
