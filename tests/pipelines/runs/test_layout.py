"""What lies in a folder is said, and a folder that holds no complete run is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.layout import is_run, require_run


def test_a_folder_with_a_manifest_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    assert is_run(tmp_path)
    require_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (None, "the folder does not exist", "headstart train DATA --out RUN"),
        ("photo.jpg", "is not a run: it has no `run.json`", "--out"),
        ("run.json/", "is not a run", "--out"),
        ("state/", "was interrupted", "type the same `headstart train` command again to resume"),
    ],
)
def test_what_is_no_run_is_refused_with_what_it_is(
    tmp_path: Path, content: str | None, message: str, hint: str
) -> None:
    folder = tmp_path / "holiday"
    if content is not None:
        (folder / content).mkdir(parents=True) if content.endswith("/") else folder.mkdir()
        (folder / content).touch()
    assert not is_run(folder)
    with pytest.raises(UserError) as raised:
        require_run(folder)
    assert message in raised.value.message
    assert str(folder) in raised.value.message
    assert hint in raised.value.hint


def test_a_file_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"photo\.jpg"):
        require_run(tmp_path / "photo.jpg")
