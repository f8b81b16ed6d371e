"""Reads plain data, as `json.loads` gives it, into typed records, and says which key does not fit."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

Record = TypeVar("Record")


class DamagedRecord(ValueError):
    """A value that is missing, or of another type or range than its record asks for; its words name the key."""


def as_record(values: Any, kind: type[Record]) -> Record:  # Any: whatever JSON holds, before it is checked
    """Build a record from plain data, strictly: no text becomes a number, no number a truth value.

    `json.loads` reads what `msgspec.json` refuses: lone surrogates, which stand for the bytes of a file name that are
    not UTF-8.

    Args:
        values: dicts, lists, strings, numbers, booleans and None.
        kind: a dataclass, whose fields are records, tuples, dicts and plain types, annotated with ranges.

    Raises:
        DamagedRecord: with the path of the first key that does not fit, such as `metrics.test.accuracy`.
    """
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `")
        key = place.rstrip("`").removeprefix("$").removeprefix(".")
        raise DamagedRecord(f"`{key}`: {message}" if key else message) from error
