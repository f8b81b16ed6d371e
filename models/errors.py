"""What a user can mend: one error type, and a table lookup that suggests the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


class UserError(Exception):
    """Something the user can put right; shown as `error: message`, then `hint: hint`.

    Attributes:
        message: what happened, one line, literals in backticks, no full stop.
        hint: what to do about it, one line; empty when there is nothing useful to add.
        exit_code: 1 for what the user can mend, 3 for a quality gate that failed.
    """

    def __init__(self, message: str, hint: str = "", *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def lookup(table: Mapping[str, Entry], name: str, what: str) -> Entry:
    """Return `table[name]`, or raise a UserError that suggests the nearest name.

    Args:
        table: a registry.
        name: the key a user asked for.
        what: the noun for the message, such as "backbone".

    Raises:
        UserError: `name` is not in the table.
    """
    if name in table:
        return table[name]
    nearest = difflib.get_close_matches(name.lower(), table, n=3, cutoff=0.5)
    if nearest:
        hint = "did you mean " + " or ".join(f"`{each}`" for each in nearest) + "?"
    else:
        hint = f"choose one of: {', '.join(table)}"
    raise UserError(f"unknown {what}: `{name}`", hint)
