"""Reads JSON files and plain data into typed records, and says which key does not fit."""

from __future__ import annotations

import json
import math
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

from pipelines.system.text import one_line

Record = TypeVar("Record")
# The way to a value in plain data: keys of dicts and places in lists.
Path: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = Any  # whatever JSON holds, before it is checked

# A step of msgspec's paths: `.field`, `[3]` in a list, `[...]` for any key of a dict.
_STEP = re.compile(r"\.(?P<field>\w+)|\[(?P<place>\d+)\]|(?P<any>\[\.\.\.\])")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class DamagedRecord(ValueError):
    """A value that is missing, or of another type or range than its record asks for; its words name the key."""


def as_record(values: Plain, kind: type[Record]) -> Record:
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
    except UnicodeEncodeError as error:  # msgspec compares keys in UTF-8
        raise DamagedRecord("a key is not UTF-8") from error
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        steps = list(_STEP.finditer(place.rpartition("$")[2]))
        path = _resolve(values, kind, steps, str(error))
        if missing := _MISSING.fullmatch(message):
            path, message = (*path, missing[1]), "missing"
        raise _damaged(path, message) from error


def read_plain(file: pathlib.Path) -> Plain:
    """Read a JSON file as plain data: dicts, lists, strings, finite numbers, booleans and None.

    Raises:
        DamagedRecord: it is not JSON in UTF-8, nests too deeply or holds a number that is not finite.
        OSError: it cannot be read.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        require_finite(values)
    except DamagedRecord:
        raise
    except RecursionError as error:
        raise DamagedRecord("it nests too deeply") from error
    except ValueError as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise DamagedRecord(f"not JSON: {one_line(error)}") from error
    return values


def require_finite(values: Plain) -> None:
    """Refuse NaN and infinite numbers: JSON has none, but `json.loads` reads them.

    Raises:
        DamagedRecord: with the path of the first.
    """
    for path in _not_finite(values, ()):
        raise _damaged(path, "Expected a finite number")


def _damaged(path: Path, message: str) -> DamagedRecord:
    words = message[:1].lower() + message[1:]
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{one_line(step)}" for step in path).removeprefix(".")
    return DamagedRecord(f"`{key}`: {words}" if key else words)


def _resolve(values: Plain, kind: type[Record], steps: Sequence[re.Match[str]], error: str) -> Path:
    """The path of an error, with the keys of dicts that msgspec leaves out."""
    path: Path = ()
    for step in steps:
        if step["field"] is not None:
            path = (*path, step["field"])
        elif step["place"] is not None:
            path = (*path, int(step["place"]))
        else:
            path = (*path, _find_key(values, kind, path, error))
    return path


def _find_key(values: Plain, kind: type[Record], path: Path, error: str) -> str:
    """The key of the dict at `path` whose value gives the same error when it is the only one."""
    node = values
    for step in path:
        node = node[step]
    for key, value in node.items():
        try:
            msgspec.convert(_replaced(values, path, {key: value}), kind)
        except msgspec.ValidationError as other:
            if str(other) == error:
                return str(key)
    return "..."


def _replaced(values: Plain, path: Path, node: Plain) -> Plain:
    """A copy of plain data with another value at `path`."""
    if not path:
        return node
    first, *rest = path
    copy = values.copy()
    copy[first] = _replaced(values[first], tuple(rest), node)
    return copy


def _not_finite(values: Plain, path: Path) -> Iterator[Path]:
    match values:
        case float() if not math.isfinite(values):
            yield path
        case dict():
            for key, value in values.items():
                yield from _not_finite(value, (*path, key))
        case list():
            for place, value in enumerate(values):
                yield from _not_finite(value, (*path, place))
