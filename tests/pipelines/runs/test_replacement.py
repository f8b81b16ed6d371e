"""A run is whole before, while and after another takes its place, wherever a kill comes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from pipelines.runs import replacement
from pipelines.runs.replacement import place_beside, put_in_place, require_replaceable, run_to_replace, settle
from pipelines.system import files


def _run(folder: Path, note: str, *, has_state: bool = False) -> Path:
    (folder / "state" if has_state else folder).mkdir(parents=True)
    (folder / "model.keras").write_text(note)
    record = {"class_names": ["cat"], "backbone": {}, "spec": {}, "notes": note}
    (folder / "run.json").write_text(json.dumps(record))
    if has_state:
        (folder / "state" / "spec.json").write_text('{"train": {}}')
    return folder


def _note(run: Path) -> str:
    notes = json.loads((run / "run.json").read_text())["notes"]
    assert (run / "model.keras").read_text() == notes
    return str(notes)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return _run(tmp_path / "runs" / "photos", "old")


@pytest.fixture
def new(run: Path) -> Path:
    return _run(place_beside(run), "new", has_state=True)


def test_a_place_knows_its_run(tmp_path: Path) -> None:
    for name in ("photos", ".hidden", "a.headstart-new", "caf\udce9"):
        assert run_to_replace(place_beside(tmp_path / name)) == tmp_path / name
    assert run_to_replace(tmp_path / "photos") is None


@pytest.mark.parametrize("can_exchange", [True, False])
def test_the_new_run_takes_the_place_and_the_old_one_goes(
    can_exchange: bool, run: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(replacement, "exchange", lambda *paths: False)
    put_in_place(new, run)
    assert _note(run) == "new"
    assert [path.name for path in run.parent.iterdir()] == ["photos"]


def test_what_others_put_into_the_old_run_moves_into_the_new_one(run: Path, new: Path) -> None:
    for name in (".DS_Store", "notes/today.txt", "members/a/.DS_Store", "curves.png/theirs", "Thumbs.db"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("theirs")
    (new / "Thumbs.db").write_text("ours")
    put_in_place(new, run)
    assert (run / "notes" / "today.txt").read_text() == "theirs"
    assert (run / ".DS_Store").read_text() == "theirs"
    assert (run / "curves.png" / "theirs").exists()
    assert (run / "Thumbs.db").read_text() == "ours"
    assert not (run / "members").exists()
    assert [path.name for path in run.parent.iterdir()] == ["photos"]


def test_what_has_no_free_place_stays_aside(run: Path, new: Path) -> None:
    (run / "curves.png").mkdir()
    (run / "curves.png" / "theirs").write_text("theirs")
    (new / "curves.png").write_text("ours")
    put_in_place(new, run)
    assert (run / "curves.png").read_text() == "ours"
    assert (run.parent / ".photos.headstart-old" / "curves.png" / "theirs").read_text() == "theirs"


class Kill(BaseException):
    """In place of a signal that ends the process at once."""


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_kill_at_any_step_leaves_a_whole_run(
    can_exchange: bool, run: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each step on the disk in turn comes a kill; after it, or after the next command, a whole run is there."""
    exchange = files.exchange if can_exchange else lambda *paths: False
    for last in range(100):
        with monkeypatch.context() as patch:
            steps = _kill_after(patch, last, exchange)
            with suppress(Kill):
                put_in_place(new, run)
        if can_exchange:
            assert _note(run) in ("old", "new")
        settle(run)
        assert _note(run) in ("old", "new")
        if len(steps) <= last:
            break
        shutil.rmtree(run.parent)
        _run(run, "old")
        _run(new, "new", has_state=True)
    assert last > 3
    assert [path.name for path in run.parent.iterdir()] == ["photos"]


def _kill_after(patch: pytest.MonkeyPatch, last: int, exchange: Callable[[Path, Path], bool]) -> list[str]:
    """Let `last` changes of the disk happen, and raise in place of each later one; return the names of all."""
    steps: list[str] = []
    changes: list[tuple[object, str, Callable[..., Any]]] = [(replacement, "exchange", exchange)]
    changes += [(Path, name, getattr(Path, name)) for name in ("rename", "unlink", "rmdir")]
    for owner, name, change in changes:

        def limited(*arguments: Any, change: Callable[..., Any] = change, name: str = name, **options: Any) -> Any:
            steps.append(name)
            if len(steps) > last:
                raise Kill
            return change(*arguments, **options)

        patch.setattr(owner, name, limited)
    return steps


def test_an_old_run_that_was_deleted_makes_place_for_its_replacement(run: Path, new: Path) -> None:
    (new / "run.json").unlink()
    for path in run.iterdir():
        path.unlink()
    settle(run)
    assert (run / "state" / "spec.json").is_file()
    assert not new.exists()


def test_a_replacement_in_training_stays_where_it_is(run: Path, new: Path) -> None:
    (new / "run.json").unlink()
    settle(run)
    assert _note(run) == "old"
    assert (new / "state").is_dir()


def test_the_folder_one_stands_in_and_a_closed_folder_are_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_replaceable(run)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="the folder above it cannot be written"):
        require_replaceable(run)
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(UserError, match="a disk is mounted there"):
        require_replaceable(run)
    monkeypatch.chdir(run)
    with pytest.raises(UserError, match="the folder you stand in"):
        require_replaceable(run)
