"""Reads `split.csv`: the images of a run with their classes, parts, hashes and groups."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.runs.examples import Example, Split
from pipelines.runs.layout import GROUP_COLUMN, NEAR_DUPLICATE_COLUMN, SPLIT_FILE
from pipelines.runs.ranges import Sha256
from pipelines.system.cache import transcoded_file
from pipelines.system.cache_users import use_cache
from pipelines.system.records import DamagedRecord, as_record
from pipelines.system.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """One image in `split.csv`.

    Attributes:
        path: the user's file.
        label: name of its class.
        split: the part that it belongs to.
        sha256: of its content, hexadecimal.
        group: the name of its group; None without one, and in data without groups.
        near_duplicate: the hash that stands for its near duplicates; None where it has none.
    """

    path: str
    label: str
    split: Split
    sha256: Sha256
    group: str | None = None
    near_duplicate: Sha256 | None = None


def read_rows(folder: str | Path) -> tuple[SplitRow, ...]:
    """The rows of a run's `split.csv`, in order.

    Raises:
        UserError: the file is missing or damaged.
    """
    file = Path(folder) / SPLIT_FILE
    rows: list[SplitRow] = []
    try:
        with open(file, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            for values in csv.DictReader(stream):
                optional = {name: values.get(name) or None for name in (GROUP_COLUMN, NEAR_DUPLICATE_COLUMN)}
                rows.append(as_record({**values, **optional}, SplitRow))
    except FileNotFoundError as error:
        raise UserError(f"the run `{folder}` has no `{SPLIT_FILE}`", "train the run again with --force") from error
    except (csv.Error, DamagedRecord) as error:
        raise _damaged(file, f"row {len(rows) + 1}: {error}") from error
    return tuple(rows)


def read_split(folder: str | Path, class_names: tuple[str, ...]) -> tuple[Example, ...]:
    """The images that a run was trained and evaluated on.

    Raises:
        UserError: as `read_rows`, or a class is not one of the run's.
    """
    transcoded = {path.stem for path in transcoded_file("").parent.glob("*.png")}
    if transcoded:
        use_cache()
    labels = {name: label for label, name in enumerate(class_names)}
    rows = read_rows(folder)
    if unknown := next((row.label for row in rows if row.label not in labels), None):
        raise _damaged(Path(folder) / SPLIT_FILE, f"its class `{one_line(unknown)}` is not one of the run's")
    return tuple(
        Example(
            path=row.path,
            label=labels[row.label],
            split=row.split,
            sha256=row.sha256,
            source=str(transcoded_file(row.sha256)) if row.sha256 in transcoded else row.path,
            group=row.group,
            near_duplicate=row.near_duplicate,
        )
        for row in rows
    )


def _damaged(file: Path, reason: str) -> UserError:
    return UserError(f"`{one_line(file)}` is damaged: {one_line(reason)}", "train the run again with --force")
