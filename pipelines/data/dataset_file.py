"""Writes a data set to a JSON file and reads it back, for the worker processes of a training."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from models.errors import UserError
from pipelines.runs.examples import Dataset
from pipelines.system.files import atomic
from pipelines.system.records import DamagedRecord, as_record, read_plain
from pipelines.system.text import one_line


def write_dataset(path: Path, dataset: Dataset) -> None:
    """Write a data set atomically.

    The file is ASCII: bytes of names that are not UTF-8 (surrogates in Python) are escaped and come back.
    """
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(msgspec.to_builtins(dataset)), encoding="ascii")


def read_dataset(path: Path) -> Dataset:
    """Read what `write_dataset` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    hint = "train again with --force"
    try:
        dataset = as_record(read_plain(path), Dataset)
        if any(example.label >= len(dataset.class_names) for example in dataset.examples):
            raise DamagedRecord("a label without a class")
        return dataset
    except OSError as error:
        raise UserError(f"the data set `{one_line(path)}` cannot be read: {error.strerror or error}", hint) from error
    except DamagedRecord as error:
        raise UserError(f"the data set `{one_line(path)}` is damaged: {one_line(error)}", hint) from error
