"""Describes the copy of a TensorFlow dataset in the cache: its files, and how a complete copy is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.data.listing import natural_key
from pipelines.system.cache import cache_folder
from pipelines.system.records import DamagedRecord, as_record, read_plain
from pipelines.system.text import one_line

# Written last: a copy is complete when it is there.
DESCRIPTION = "complete.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What `complete.json` says of a copy.

    Attributes:
        class_names: in the order of the dataset's labels.
        parts: those with labelled images first, then those that were not copied.
        remarks: lines that the user should read.
        prepared: the folder in which TensorFlow Datasets prepared it.
    """

    class_names: list[str]
    parts: list[str]
    remarks: list[str]
    prepared: str

    def to_json(self) -> bytes:
        """The content of the file."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def of_copy(cls, copy: Path) -> Description:
        """Read the description of a complete copy.

        Raises:
            UserError: the file is damaged.
        """
        file = copy / DESCRIPTION
        try:
            return as_record(read_plain(file), cls)
        except DamagedRecord as error:
            raise UserError(f"`{one_line(file)}` is damaged: {error}", "delete it to copy the images again") from error


def copy_folder(name: str) -> Path:
    """The folder of all copies of a dataset; in it is one folder for each version."""
    return cache_folder() / "tfds" / name


def copied_images(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Number, label and file of each image in the copy of a part; a file is `FOLDER/NUMBER-LABEL.img`."""
    for path in folder.glob("*/*.img"):
        number, label = path.stem.split("-")
        yield int(number), int(label), path


def newest_copy(name: str, version: str | None) -> Path | None:
    """The folder of the newest complete copy of a dataset, or of a given version of it; None where there is none."""
    complete = [path.parent for path in copy_folder(name).glob(f"{version or '*.*.*'}/{DESCRIPTION}")]
    return max(complete, key=lambda path: natural_key(path.name), default=None)
