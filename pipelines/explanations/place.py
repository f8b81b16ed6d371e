"""Makes the folder for explanations: not a run, not among pictures, and not one that holds something else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from models.errors import UserError
from pipelines.inference.inputs import Input
from pipelines.runs.layout import is_run
from pipelines.system.files import write_json
from pipelines.system.text import one_line

# Lists what was written; a folder that has it may be written to again.
INDEX_FILE = "explanations.json"


def open_folder(out: str, run: str) -> Path:
    """Make the folder, with an empty index.

    Args:
        out: as typed.
        run: folder of the run.

    Raises:
        UserError: it is a run or a file, holds something else, or cannot be made.
    """
    folder = Path(os.path.abspath(out))
    if is_run(folder) or os.path.realpath(folder) == os.path.realpath(run):
        raise UserError(f"`{one_line(out)}` is a run", "choose another --out")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"`{one_line(out)}` is a file", "give --out a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / INDEX_FILE).exists():
            if any(folder.iterdir()):
                raise UserError(f"`{one_line(out)}` is not empty and has no `{INDEX_FILE}`", "give --out a new folder")
            write_json(folder / INDEX_FILE, {"run": run, "pictures": [], "unreadable": []})
    except OSError as error:
        raise UserError(f"`{one_line(out)}` cannot be made: {error.strerror or error}") from error
    return folder


def without_images_in(folder: Path, inputs: Iterable[Input]) -> Iterator[Input]:
    """The inputs; one that lies in the folder is an error, because what is written could take its place.

    Raises:
        UserError: names both.
    """
    place = os.path.realpath(folder)
    for source in inputs:
        if source.reason is None and os.path.dirname(os.path.realpath(source.path)) == place:
            raise UserError(
                f"the explanations would go to `{one_line(folder)}`, beside the image `{one_line(source.path)}`",
                "give --out another folder: nothing is ever written between images",
            )
        yield source
