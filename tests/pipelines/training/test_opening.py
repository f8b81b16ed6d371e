"""What a training says of its images before it begins."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from pipelines.data.same_images import OpenedRun
from pipelines.data.scan import scan
from pipelines.runs.manifest import RunRequest
from pipelines.training.opening import check_images
from tests.pipelines.reporters import Notes
from tests.specs import train_spec


def lines_of(data: Path, run: Path) -> list[str]:
    spec = train_spec(data=str(data), out=str(run))
    opened = OpenedRun(folder=run, request=RunRequest(train=spec), is_resumed=False, force=False)
    notes = Notes()
    check_images(scan(str(data)), opened, spec, notes)
    return notes.lines


def test_the_audit_is_named_where_there_is_something_to_see_and_only_there(
    image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data, run = image_folder(parts={"train": 8, "test": 4}), tmp_path / "run"
    run.mkdir()
    assert not any("headstart audit" in line for line in lines_of(data, run))
    shutil.copy(data / "train" / "circle" / "circle-000.png", data / "test" / "circle" / "copy.png")
    lines = lines_of(data, run)
    (line,) = (line for line in lines if "headstart audit" in line)
    assert line.startswith(f"`headstart audit {data} --out DIR`")
    assert any("identical copies in two parts" in line for line in lines[: lines.index(line)])
