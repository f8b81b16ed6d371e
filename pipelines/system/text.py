"""Turns paths and names into text that any terminal shows on one line."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

# Control characters, surrogates, line separators, paragraph separators.
_ESCAPED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: object) -> str:
    r"""`text` so that it prints on one line of any terminal.

    Control characters, line breaks and marks that turn the writing direction become backslash escapes; bytes of a file
    name that are not UTF-8 (surrogates in Python) become `\xNN`.
    """
    line = str(text)
    if line.isprintable():
        return line
    return "".join(_escaped(character) if _is_escaped(character) else character for character in line)


def name_list(names: Iterable[str], limit: int = 5, *, sign: str = "") -> str:
    """The first `limit` names on one line, each in backticks after `sign`, and how many more there are."""
    shown = [f"{sign}`{one_line(name)}`" for name in names]
    rest = len(shown) - limit
    return ", ".join(shown[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 image`, `2,000 images`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def as_utf8(text: str) -> str:
    r"""`text` with the bytes that are not UTF-8 (surrogates in Python) as `\xNN`; control characters stay."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def padded(text: str, width: int) -> str:
    """`text` followed by spaces up to `width` terminal cells; a longer text stays whole."""
    # Inside: rich.cells takes 10 ms to import, and most commands print no table.
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))


def _is_escaped(character: str) -> bool:
    return unicodedata.category(character) in _ESCAPED_CATEGORIES or character in _BIDIRECTIONAL


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
