"""Turns any text into text that a terminal can show: paths, names, widths."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f]")


def printable(path: str) -> str:
    r"""A path on one line that any terminal takes: stray bytes as `\xNN`, control characters escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def some(names: Iterable[str], limit: int = 5) -> str:
    """A few names as text, and how many more there are."""
    listed = [f"`{printable(name)}`" for name in names]
    rest = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def as_utf8(text: str) -> str:
    r"""`text` with bytes that are no UTF-8 shown as `\xNN`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def visible(text: str) -> str:
    r"""`text` on one line that any terminal takes: stray bytes as `\xNN`, everything unprintable escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in as_utf8(text))


def cells(text: str) -> int:
    """How many terminal cells a printable text takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def padded(text: str, width: int) -> str:
    """`text` filled up with blanks to `width` cells; a longer one stays whole."""
    return text + " " * (width - cells(text))
