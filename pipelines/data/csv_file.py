"""Lists the images that a CSV with the columns `path,label[,split][,group]` names."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from models.errors import UserError
from pipelines.data.class_names import unify_spellings
from pipelines.data.folders import compare_classes
from pipelines.data.listing import PART_NAMES, ListedFile, Listing, natural_order
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import counted, one_line

COLUMNS = "the first line names the columns: `path,label`, and optionally `split` and `group`"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    label: str
    split: Split | None
    group: str | None


def read_csv(data: str, *, for_training: bool) -> Listing:
    """List the images that a CSV names; paths are relative to the CSV's folder.

    Args:
        data: an existing file: UTF-8, with or without a byte order mark, comma separated. Further columns are ignored.
        for_training: False lets classes differ between the parts.

    Raises:
        UserError: names the line that is wrong: no such file, an empty field, an unknown split, one image twice
            with two labels, splits or groups; or the classes differ between the parts.
    """
    folder = os.path.dirname(os.path.abspath(data))
    rows: dict[str, _Row] = {}
    repeated = 0
    for row in _rows(data):
        path = os.path.normpath(os.path.join(folder, row.path))
        first = rows.setdefault(path, row)
        if first is not row:
            _refuse_contradiction(data, first, row)
            repeated += 1
    if not rows:
        raise UserError(f"`{one_line(data)}` lists no images", COLUMNS)
    _require_files(data, rows)
    by_split: dict[Split | None, list[str]] = {}
    for row in sorted(rows.values(), key=_place):
        by_split.setdefault(row.split, []).append(row.label)
    class_of, matched = unify_spellings(by_split.values())
    rows = {path: replace(row, label=class_of[row.label]) for path, row in rows.items()}
    _require_complete_split(data, list(rows.values()), for_training=for_training)
    names = natural_order(row.label for row in rows.values())
    labels = {name: label for label, name in enumerate(names)}
    files = tuple(
        ListedFile(path=path, label=labels[row.label], split=row.split, group=row.group) for path, row in rows.items()
    )
    remarks = (f"`{one_line(data)}` has {counted(repeated, 'repeated line')}",) if repeated else ()
    return Listing(root=data, origin="csv", class_names=tuple(names), files=files, remarks=(*remarks, *matched))


def _place(row: _Row) -> int:
    """The place of a row's part: the form of a class name in the training part is the one that stays."""
    return SPLITS.index(row.split) if row.split else 0


def _rows(data: str) -> Iterator[_Row]:
    try:
        # A path may hold bytes that are not UTF-8: they become surrogates, as os.fsdecode makes them.
        with open(data, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            columns = _columns(data, next(reader, []))
            for fields in reader:
                if any(fields):
                    yield _row(data, reader.line_num, fields, columns)
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} of `{one_line(data)}` is not valid CSV: {error}", COLUMNS) from error
    except OSError as error:
        raise UserError(f"`{one_line(data)}` cannot be read: {error.strerror or error}") from error


def _columns(data: str, header: list[str]) -> dict[str, int]:
    """Column -> its place in a line."""
    names = [name.strip().casefold() for name in header]
    if "path" not in names or "label" not in names:
        raise UserError(
            f"`{one_line(data)}` is not a list of images: its first line has no columns `path` and `label`", COLUMNS
        )
    return {name: names.index(name) for name in ("path", "label", "split", "group") if name in names}


def _row(data: str, line: int, fields: list[str], columns: dict[str, int]) -> _Row:
    values = {name: fields[place] if place < len(fields) else "" for name, place in columns.items()}
    path, label, split = values["path"], values["label"].strip(), values.get("split", "").strip()
    where = f"line {line} of `{one_line(data)}`"
    if not path or not label:
        raise UserError(f"{where} has no {'label' if path else 'path'}", "every line names a file and its class")
    if "\0" in path:
        raise UserError(f"{where} has a zero byte in its path", "save the file as UTF-8")
    if split and split.casefold() not in PART_NAMES:
        raise UserError(
            f"{where} has the unknown split `{one_line(split)}`",
            "a split is `train`, `validation` (or `val`, `valid`) or `test`",
        )
    group = values.get("group", "").strip() or None
    return _Row(line, path, label, PART_NAMES[split.casefold()] if split else None, group)


def _refuse_contradiction(data: str, first: _Row, row: _Row) -> None:
    for column in ("label", "split", "group"):
        value, other = getattr(first, column), getattr(row, column)
        if value != other:
            raise UserError(
                f"lines {first.line} and {row.line} of `{one_line(data)}` give `{one_line(row.path)}` two {column}s: "
                f"`{one_line(value or 'none')}` and `{one_line(other or 'none')}`",
                "keep one of the two lines",
            )


def _require_files(data: str, rows: dict[str, _Row]) -> None:
    missing = [row for path, row in rows.items() if not os.path.lexists(path)]
    if missing:
        first, more = missing[0], len(missing) - 1
        others = f" (and {counted(more, 'more missing file')})" if more else ""
        raise UserError(
            f"line {first.line} of `{one_line(data)}` names `{one_line(first.path)}`, which does not exist{others}",
            "paths are relative to the folder of the CSV",
        )


def _require_complete_split(data: str, rows: list[_Row], *, for_training: bool) -> None:
    """Refuse a split that some lines lack, that leaves nothing to train on, or whose parts differ in classes."""
    given = {row.split for row in rows if row.split}
    if not given:
        return
    if unassigned := next((row for row in rows if row.split is None), None):
        raise UserError(
            f"line {unassigned.line} of `{one_line(data)}` has no split, and other lines have one",
            "give every line a split, or omit the column to have the images divided",
        )
    if not for_training:
        return
    if "train" not in given or len(given) == 1:
        raise UserError(
            f"`{one_line(data)}` has only {' and '.join(sorted(given))} lines in its column `split`",
            "give `train` and `validation` lines, or omit the column to have the images divided",
        )
    compare_classes(data, {part: {row.label for row in rows if row.split == part} for part in SPLITS if part in given})
