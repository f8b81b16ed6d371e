r"""Prediction rows and the formats they are written in; light, so that the command line can list the formats.

Any path survives any format. csv: text fields quoted, so that line breaks stay inside one; bytes that are no UTF-8
are written as they are. jsonl: ASCII with JSON escapes, a stray byte 0xNN as the lone surrogate `\udcNN`, which
Python's `os.fsencode` turns back. parquet: `path` is text with such bytes shown as `\xNN`, and `path_bytes` has the
exact path where that was needed. table: for people, everything unprintable is escaped.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

from models.errors import UserError, lookup
from pipelines.system.text import as_utf8, cells, padded, visible

Status = Literal["ok", "unreadable"]
FIELDS = ("path", "status", "label", "probability", "top_k", "reason", "agreement", "entropy", "members")
ROW_GROUP = 10_000
WIDEST = 30  # cells of a class name in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is said about one input.

    Attributes:
        path: as given; non-UTF-8 bytes as surrogates.
        status: `ok`, or `unreadable`.
        label: the most probable class; None when unreadable.
        probability: of it, in [0, 1]; None when unreadable.
        top_k: the most probable classes and their probabilities, most probable first; empty when unreadable.
        reason: why it is unreadable, a phrase; empty when it is not.
        agreement: share of an ensemble's members that say the same, in [0, 1]; None for a single model.
        entropy: of the probabilities of all classes, nats; None when unreadable.
        members: what each member of an ensemble says, with its probability; empty unless asked for.
    """

    path: str
    status: Status
    label: str | None = None
    probability: float | None = None
    top_k: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    agreement: float | None = None
    entropy: float | None = None
    members: tuple[tuple[str, str, float], ...] = ()


@dataclass(slots=True)
class Tally:
    """How many rows were written, and how many of them are unreadable."""

    rows: int = 0
    unreadable: int = 0


Writer = Callable[[Iterable[Prediction], BinaryIO, Sequence[str]], None]


def require(format_name: str, out: str | None, *, terminal: bool) -> None:
    """Refuse, before any work is done, what could not be written after it.

    Args:
        format_name: a key of `FORMATS`.
        out: a file, or None for stdout.
        terminal: whether stdout is a terminal.

    Raises:
        UserError: an unknown format, a library that is missing, a place that cannot be written.
    """
    lookup(FORMATS, format_name, "format")
    if format_name == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError("the format `parquet` needs pyarrow, which is not installed", "install `headstart[parquet]`")
    if format_name == "parquet" and out is None and terminal:
        raise UserError("`parquet` is not for terminals", "name a file with --out, or redirect stdout")
    if out is None:
        return
    if os.path.isdir(out):
        raise UserError(f"--out `{visible(out)}` is a folder", "name a file")
    folder = os.path.dirname(os.path.realpath(out))
    if not os.path.isdir(folder):
        raise UserError(f"the folder `{visible(folder)}` of --out does not exist", "make it, or name another file")
    if not os.access(folder, os.W_OK) and not _is_device(out):
        raise UserError(f"the folder `{visible(folder)}` of --out cannot be written", "name another file")


def write(
    rows: Iterable[Prediction], *, format_name: str, class_names: Sequence[str], out: str | None, stdout: BinaryIO
) -> Tally:
    """Write rows as they come; a file takes its place only when it is whole.

    Args:
        rows: from `pipelines.predict.predictions`.
        format_name: a key of `FORMATS`.
        class_names: all classes, for the width of the table's columns.
        out: a file, or None for `stdout`.
        stdout: binary; flushed after each row, so that a reader sees rows as they come.

    Raises:
        UserError: as `require`; what `rows` raises passes through, and leaves no file behind.
    """
    require(format_name, out, terminal=False)
    tally = Tally()
    with _sink(out, stdout) as stream:
        FORMATS[format_name](_counted(rows, tally, stream), stream, class_names)
        stream.flush()
    return tally


@contextmanager
def _sink(out: str | None, stdout: BinaryIO) -> Iterator[BinaryIO]:
    if out is None:
        yield stdout
    elif _is_device(out):
        with open(out, "wb") as device:  # a pipe, /dev/null: nothing may take its place
            yield device
    else:
        from pipelines.system.files import atomic

        # Through a link to the file itself: the link stays.
        with atomic(Path(os.path.realpath(out))) as temporary, open(temporary, "wb") as stream:
            yield stream


def _is_device(out: str) -> bool:
    return os.path.exists(out) and not os.path.isfile(out)


def _counted(rows: Iterable[Prediction], tally: Tally, stream: BinaryIO) -> Iterator[Prediction]:
    for row in rows:
        tally.rows += 1
        tally.unreadable += row.status == "unreadable"
        yield row
        stream.flush()


def _table(rows: Iterable[Prediction], stream: BinaryIO, class_names: Sequence[str]) -> None:
    width = min(WIDEST, max(cells(visible(name)) for name in ("unreadable", *class_names)))
    stream.write(f"{padded('label', width)}  probability  path\n".encode())
    for row in rows:
        others = [f"{visible(label)} {share:.3f}" for label, share in row.top_k[1:] if share >= 0.0005]
        others += [f"{visible(member)}: {visible(said)} {share:.3f}" for member, said, share in row.members]
        others += [] if row.agreement is None else [f"agreement {row.agreement:.2f}"]
        remark = row.reason if row.status == "unreadable" else ", ".join(others)
        label = "unreadable" if row.label is None else visible(row.label)
        probability = "-" if row.probability is None else f"{row.probability:.3f}"
        line = f"{padded(label, width)}  {probability:>11}  {visible(row.path)}"
        stream.write((line + (f"  ({visible(remark)})" if remark else "") + "\n").encode())


def _csv(rows: Iterable[Prediction], stream: BinaryIO, class_names: Sequence[str]) -> None:
    # Text always quoted: Python's minimal quoting leaves a lone carriage return bare when lines end in \n.
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="", write_through=True)
    try:
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(FIELDS)
        for row in rows:
            values = _values(row)
            values |= {name: json.dumps(values[name], ensure_ascii=False) for name in ("top_k", "members")}
            writer.writerow([values[name] for name in FIELDS])
    finally:
        text.detach()


def _jsonl(rows: Iterable[Prediction], stream: BinaryIO, class_names: Sequence[str]) -> None:
    for row in rows:
        values = _values(row)
        stream.write(json.dumps(values, allow_nan=False).encode("ascii") + b"\n")


def _parquet(rows: Iterable[Prediction], stream: BinaryIO, class_names: Sequence[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    pair = pyarrow.struct({"label": pyarrow.string(), "probability": pyarrow.float64()})
    text, number = pyarrow.string(), pyarrow.float64()
    said = pyarrow.struct({"member": text, "label": text, "probability": number})
    types = (text, text, text, number, pyarrow.list_(pair), text, number, number, pyarrow.list_(said))
    schema = pyarrow.schema([*zip(FIELDS, types, strict=True), ("path_bytes", pyarrow.binary())])
    waiting = iter(rows)
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while group := list(islice(waiting, ROW_GROUP)):
            writer.write_table(pyarrow.Table.from_pylist([_record(row) for row in group], schema))


def _record(row: Prediction) -> dict[str, Any]:
    values = _values(row)
    for name in ("top_k", "members"):
        values[name] = [{**each, "label": as_utf8(each["label"])} for each in values[name]]
    values["label"] = None if row.label is None else as_utf8(row.label)
    values["path"] = as_utf8(row.path)
    values["path_bytes"] = None if values["path"] == row.path else os.fsencode(row.path)
    return values


def _values(row: Prediction) -> dict[str, Any]:
    """A row as plain data."""
    values: dict[str, Any] = {name: getattr(row, name) for name in FIELDS}
    values["top_k"] = [{"label": label, "probability": share} for label, share in row.top_k]
    values["members"] = [
        {"member": member, "label": label, "probability": share} for member, label, share in row.members
    ]
    return values


FORMATS: dict[str, Writer] = {"table": _table, "csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
