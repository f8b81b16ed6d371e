"""Defines the error that a user can fix, quotes those of libraries, and looks names up in tables."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

Record = TypeVar("Record")
LONGEST_QUOTE = 240  # characters of a library's message


class UserError(Exception):
    """An error that the user can fix; shown as `error: message`, then `hint: hint`.

    Attributes:
        message: what is wrong: one line, literals in backticks, no full stop.
        hint: how to fix it, one line; may be empty.
        exit_code: 1, or 3 for a quality gate that failed.
    """

    def __init__(self, message: str, hint: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def lookup(table: Mapping[str, Record], name: str, noun: str) -> Record:
    """Return `table[name]`, or raise a UserError that suggests the nearest name.

    Args:
        table: a registry, name -> record.
        name: the key that the user typed.
        noun: names the kind of record in the message, such as "backbone".

    Raises:
        UserError: `name` is not in the table.
    """
    if name in table:
        return table[name]
    nearest = difflib.get_close_matches(name.lower(), table, n=3, cutoff=0.5)
    if nearest:
        hint = "did you mean " + " or ".join(f"`{key}`" for key in nearest) + "?"
    else:
        hint = f"choose one of: {', '.join(table)}"
    raise UserError(f"unknown {noun}: `{name}`", hint)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop or colon; the name of its type where it has none.

    A long one, such as Keras' with a whole configuration in it, is cut.
    """
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.rstrip(".:") if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE].rstrip()} ..."
