"""Chooses the folder of a training that is not given one: `runs/<data>-<n>`, which overwrites nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from pipelines.runs.folder import read_request
from pipelines.runs.layout import SPEC_FILE, STATE_FOLDER, is_run
from pipelines.runs.manifest import RunRequest
from pipelines.system.lock import is_locked

RUNS_FOLDER = "runs"
TFDS = "tfds:"


def choose_place(data: str, request_in: Callable[[str], RunRequest], *, begins_anew: bool = False) -> str:
    """Choose the folder: that of an interrupted training of the same request, or else one that does not exist.

    Args:
        data: a folder, a CSV file or `tfds:NAME[:VERSION]`, as the user named it.
        request_in: gives the request of a training into a folder.
        begins_anew: whether an interrupted training is left alone.

    Returns:
        `runs/<data>-<n>`, with n one more than the greatest that is there, from 1.
    """
    name = _name_of(data)
    numbers = _numbers(Path(RUNS_FOLDER), name)
    for number in () if begins_anew else sorted(numbers, reverse=True):
        place = f"{RUNS_FOLDER}/{name}-{number}"
        if _is_interrupted(Path(place)) and read_request(Path(place) / STATE_FOLDER / SPEC_FILE) == request_in(place):
            return place
    return f"{RUNS_FOLDER}/{name}-{max(numbers, default=0) + 1}"


def _is_interrupted(place: Path) -> bool:
    return (place / STATE_FOLDER / SPEC_FILE).is_file() and not is_run(place) and not is_locked(place)


def _name_of(data: str) -> str:
    """The last word of DATA: `photos` of `my/photos/`, `list` of `list.csv`, `mnist` of `tfds:mnist:3.0.1`."""
    if data.startswith(TFDS):
        name = data.removeprefix(TFDS).partition(":")[0].replace("/", "-")
    else:
        path = Path(os.path.abspath(data))
        name = path.stem if path.is_file() else path.name
    return name.strip(".-") or "run"


def _numbers(folder: Path, name: str) -> set[int]:
    """The numbers n of everything called `<name>-<n>` in a folder; none where there is no such folder."""
    if not folder.is_dir():
        return set()
    matches = (re.fullmatch(rf"{re.escape(name)}-(\d{{1,9}})", entry.name) for entry in folder.iterdir())
    return {int(match[1]) for match in matches if match}
