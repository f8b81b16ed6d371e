"""Writes prediction rows to stdout or a file as they come (light: checks the destination before TensorFlow loads)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from models.errors import UserError
from pipelines.inference.prediction import Columns, Prediction
from pipelines.inference.prediction_rows import RowFormat
from pipelines.system.text import one_line


@dataclass(slots=True)
class Tally:
    """How many rows were written, how many of them are unreadable, and how many files in folders are no images."""

    rows: int = 0
    unreadable: int = 0
    others: int = 0


def require_writable(row_format: RowFormat, out: str | None, *, is_terminal: bool) -> None:
    """Check, before any prediction, that rows can be written.

    Args:
        row_format: of the rows.
        out: a file, or None for stdout.
        is_terminal: whether stdout is a terminal.

    Raises:
        UserError: a library that is missing, a place that cannot be written.
    """
    if row_format.library and importlib.util.find_spec(row_format.library) is None:
        raise UserError(
            f"the format `{row_format.name}` needs {row_format.library}, which is not installed",
            f"install `headstart[{row_format.extra}]`",
        )
    if is_terminal and out is None and not row_format.is_text:
        raise UserError(f"`{row_format.name}` is not for terminals", "name a file with --out, or redirect stdout")
    require_destination(out)


def require_destination(out: str | None) -> None:
    """Check that a file can be written; None stands for stdout.

    Raises:
        UserError: it is a folder, or its folder is missing or cannot be written.
    """
    if out is None:
        return
    if os.path.isdir(out):
        raise UserError(f"--out `{one_line(out)}` is a folder", "name a file")
    folder = os.path.dirname(os.path.realpath(out))
    if not os.path.isdir(folder):
        raise UserError(f"the folder `{one_line(folder)}` of --out does not exist", "make it, or name another file")
    if not os.access(folder, os.W_OK) and not _is_device(out):
        raise UserError(f"the folder `{one_line(folder)}` of --out cannot be written", "name another file")


def write(
    rows: Iterable[Prediction],
    row_format: RowFormat,
    *,
    columns: Columns,
    out: str | None,
    stdout: BinaryIO,
) -> Tally:
    """Write rows as they come; a file appears only when it is complete.

    Args:
        rows: from `pipelines.predict.predictions`.
        row_format: a value of `FORMATS`.
        columns: of the rows.
        out: a file, or None for `stdout`.
        stdout: binary; flushed after each row, so that a reader sees rows as they come.

    Raises:
        UserError: as `require_destination`; an error of `rows` passes through, and leaves no file behind.
    """
    require_destination(out)
    tally = Tally()
    with _destination(out, stdout) as stream:
        row_format.write(_counted(rows, tally, stream), stream, columns)
        stream.flush()
    return tally


@contextmanager
def _destination(out: str | None, stdout: BinaryIO) -> Iterator[BinaryIO]:
    if out is None:
        yield stdout
    elif _is_device(out):
        with open(out, "wb") as device:  # a pipe, /dev/null: it must not be replaced
            yield device
    else:
        from pipelines.system.files import atomic

        # Of a link the file it points to is replaced: the link stays.
        with atomic(Path(os.path.realpath(out))) as temporary, open(temporary, "wb") as stream:
            yield stream


def _is_device(out: str) -> bool:
    return os.path.exists(out) and not os.path.isfile(out)


def _counted(rows: Iterable[Prediction], tally: Tally, stream: BinaryIO) -> Iterator[Prediction]:
    for row in rows:
        if row.status == "not an image":
            tally.others += 1
            continue
        tally.rows += 1
        tally.unreadable += row.status == "unreadable"
        yield row
        stream.flush()
