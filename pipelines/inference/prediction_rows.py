r"""Writes prediction rows in several formats (light, so that the command line can list the formats).

The schema, version `SCHEMA`, which every row of csv, jsonl and parquet has as `schema`:

path         as given, or below the folder that was given
status       `ok`, or `unreadable`
label        the most probable class; with costs, the class of least expected cost
probability  of it, in [0, 1]
top_k        the most probable classes: in csv as text such as `cat 0.9; dog 0.1`, else objects (label, probability)
reason       why it is unreadable, a phrase
entropy      of the probabilities of all classes, nats
agreement    share of an ensemble's members that predict the same class; csv has it for ensembles alone
members      where asked for, objects (member, label, probability); in csv `label:<member>` and `probability:<member>`
scores       where asked for, class -> probability; in csv and parquet `score:<class>`, a column for each class
set          with a coverage, the classes that the image may belong to, most probable first; in csv as `cat; dog`
chosen_by    with costs, `cost`: `label` is the class of least expected cost, and need not be the most probable one
expected_cost  with costs, of `label`, in the units of the table

The last three are there only where they were asked for, as is `scores`; such columns change no version.

Any path survives any format. csv: text fields are quoted, so that a line break stays inside its field; bytes that are
not UTF-8 are written as they are. jsonl: ASCII with JSON escapes, a stray byte 0xNN as the lone surrogate `\udcNN`,
which Python's `os.fsencode` turns back. parquet: `path` is text with such bytes shown as `\xNN`, and `path_bytes` has
the exact path where it differs. table: for people, control characters are escaped.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO, TypeAlias

from pipelines.inference.prediction import Columns, Prediction
from pipelines.system.text import as_utf8, one_line, padded

SCHEMA = 2  # 1: csv had JSON in `top_k` and `members`, and no row had its version
FIELDS = ("path", "status", "label", "probability", "top_k", "reason", "agreement", "entropy", "members")
ROW_GROUP = 10_000  # rows of a Parquet file that are written at once
MAX_LABEL_WIDTH = 30  # terminal cells of a class name in the table
SMALLEST_SHOWN = 0.0005  # probability of a further class in the table: smaller ones would show as 0.000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
Values: TypeAlias = dict[str, Any]  # a row as JSON has it: text, numbers, None, lists of such dicts


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFormat:
    """One format of prediction rows.

    Attributes:
        name: its key in `FORMATS`.
        write: writes rows to a binary stream.
        library: the package that it imports; empty for the standard library.
        extra: the extra of headstart that installs it.
        is_text: whether a terminal can show it.
    """

    name: str
    write: Callable[[Iterable[Prediction], BinaryIO, Columns], None]
    library: str = ""
    extra: str = ""
    is_text: bool = True


def escape_formulas(rows: Iterable[Prediction]) -> Iterator[Prediction]:
    """Put `'` before each text that a spreadsheet would take for a formula (OWASP, CSV Injection).

    Such a row no longer has the exact path. The names of columns begin with a letter and need no escape.
    """
    for row in rows:
        yield replace(
            row,
            path=_escaped_formula(row.path),
            label=None if row.label is None else _escaped_formula(row.label),
            top_k=tuple((_escaped_formula(label), share) for label, share in row.top_k),
            members=tuple((member, _escaped_formula(label), share) for member, label, share in row.members),
            possible=None if row.possible is None else tuple(map(_escaped_formula, row.possible)),
        )


def _escaped_formula(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _write_table(rows: Iterable[Prediction], stream: BinaryIO, columns: Columns) -> None:
    from rich.cells import cell_len

    width = min(MAX_LABEL_WIDTH, max(cell_len(one_line(name)) for name in ("unreadable", *columns.class_names)))
    stream.write(f"{padded('label', width)}  probability  path\n".encode())
    for row in rows:
        label = "unreadable" if row.label is None else one_line(row.label)
        probability = "-" if row.probability is None else f"{row.probability:.3f}"
        remark = _table_remark(row)
        line = f"{padded(label, width)}  {probability:>11}  {one_line(row.path)}"
        stream.write((line + (f"  ({remark})" if remark else "") + "\n").encode())


def _table_remark(row: Prediction) -> str:
    """The further classes, the members' classes and their agreement; of an unreadable input the reason."""
    if row.status == "unreadable":
        return one_line(row.reason)
    others = [(label, share) for label, share in row.top_k if label != row.label]
    parts = [f"{label} {share:.3f}" for label, share in others if share >= SMALLEST_SHOWN]
    parts += [f"{member}: {label} {share:.3f}" for member, label, share in row.members]
    parts += [] if row.agreement is None else [f"agreement {row.agreement:.2f}"]
    parts += [] if row.possible is None else [f"set: {' or '.join(row.possible)}"]
    parts += [] if row.expected_cost is None else [f"least expected cost {row.expected_cost:.3g}"]
    return one_line(", ".join(parts))


def _write_csv(rows: Iterable[Prediction], stream: BinaryIO, columns: Columns) -> None:
    # Text always quoted: Python's minimal quoting leaves a lone carriage return bare when lines end in \n.
    text = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="", write_through=True)
    try:
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(_csv_header(columns))
        for row in rows:
            writer.writerow(_csv_values(row, columns))
    finally:
        text.detach()


def _csv_header(columns: Columns) -> list[str]:
    header = ["path", "status", "label", "probability", "top_k", "reason", "entropy"]
    header += ["agreement"] if columns.is_ensemble else []
    header += [f"{field}:{member}" for member in columns.members for field in ("label", "probability")]
    header += [f"score:{name}" for name in columns.class_names] if columns.has_scores else []
    return [*header, *columns.decision_fields, "schema"]


def _csv_values(row: Prediction, columns: Columns) -> list[object]:
    top_k = "; ".join(f"{label} {share}" for label, share in row.top_k)
    values: list[object] = [row.path, row.status, row.label, row.probability, top_k, row.reason, row.entropy]
    values += [row.agreement] if columns.is_ensemble else []
    of_members: list[object] = [value for _, label, share in row.members for value in (label, share)]
    values += of_members or [None] * (2 * len(columns.members))
    if columns.has_scores:
        values += row.scores or [None] * len(columns.class_names)
    decisions = {**_decisions(row, columns), "set": None if row.possible is None else "; ".join(row.possible)}
    return [*values, *(decisions[name] for name in columns.decision_fields), SCHEMA]


def _write_jsonl(rows: Iterable[Prediction], stream: BinaryIO, columns: Columns) -> None:
    for row in rows:
        values = _values(row)
        if columns.has_scores:
            values["scores"] = dict(zip(columns.class_names, row.scores, strict=True)) if row.scores else None
        values |= _decisions(row, columns)
        stream.write(json.dumps(values, allow_nan=False).encode("ascii") + b"\n")


def _write_parquet(rows: Iterable[Prediction], stream: BinaryIO, columns: Columns) -> None:
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.float64()
    class_type = pyarrow.struct({"label": text, "probability": number})
    member_type = pyarrow.struct({"member": text, "label": text, "probability": number})
    types = (text, text, text, number, pyarrow.list_(class_type), text, number, number, pyarrow.list_(member_type))
    scores = [f"score:{as_utf8(name)}" for name in columns.class_names] if columns.has_scores else []
    fields = [*zip(FIELDS, types, strict=True), ("schema", pyarrow.int64()), ("path_bytes", pyarrow.binary())]
    decision_types = {"set": pyarrow.list_(text), "chosen_by": text, "expected_cost": number}
    fields += [(name, decision_types[name]) for name in columns.decision_fields]
    schema = pyarrow.schema([*fields, *((name, number) for name in scores)])
    remaining = iter(rows)
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            values = [_parquet_values(row, columns, scores) for row in group]
            writer.write_table(pyarrow.Table.from_pylist(values, schema))


def _parquet_values(row: Prediction, columns: Columns, scores: Sequence[str]) -> Values:
    """A row whose text is valid UTF-8, with the exact path where that differs."""
    values = _values(row)
    for name in ("top_k", "members"):
        values[name] = [{**entry, "label": as_utf8(entry["label"])} for entry in values[name]]
    values["label"] = None if row.label is None else as_utf8(row.label)
    values["path"] = as_utf8(row.path)
    values["path_bytes"] = None if values["path"] == row.path else os.fsencode(row.path)
    values |= _decisions(row, columns)
    if values.get("set") is not None:
        values["set"] = [as_utf8(name) for name in values["set"]]
    return values | dict(zip(scores, row.scores, strict=False))


def _values(row: Prediction) -> Values:
    values: Values = {name: getattr(row, name) for name in FIELDS}
    values["top_k"] = [{"label": label, "probability": share} for label, share in row.top_k]
    values["members"] = [
        {"member": member, "label": label, "probability": share} for member, label, share in row.members
    ]
    return values | {"schema": SCHEMA}


def _decisions(row: Prediction, columns: Columns) -> Values:
    """What a coverage and costs make of the probabilities; empty where neither was asked for."""
    values: Values = {"set": row.possible, "chosen_by": None, "expected_cost": row.expected_cost}
    if row.expected_cost is not None:
        values["chosen_by"] = "cost"
    return {name: values[name] for name in columns.decision_fields}


FORMATS: dict[str, RowFormat] = {
    row_format.name: row_format
    for row_format in (
        RowFormat(name="table", write=_write_table),
        RowFormat(name="csv", write=_write_csv),
        RowFormat(name="jsonl", write=_write_jsonl),
        RowFormat(name="parquet", write=_write_parquet, library="pyarrow", extra="parquet", is_text=False),
    )
}
