"""What headstart wrote is told from what others wrote under the same names, and nothing else is deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.runs.ownership import contents_of, delete_own, foreign_files, holds_nothing, is_proven

OURS = {"class_names": ["cat"], "backbone": {}, "spec": {"train": {"fine_tune": {"tensorboard": True}}}}
EVENTS = "tensorboard/training/events.out.tfevents.1700000000.host"


def _write(folder: Path, name: str, content: str = "mine") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def _run(folder: Path, manifest: object = OURS) -> Path:
    for name in ("model.keras", "split.csv", "members/a/head.keras", "members/a/run.json", "backbones/vgg16.keras"):
        _write(folder, name)
    _write(folder, "run.json", json.dumps(manifest))
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def test_every_run_of_older_versions_can_be_replaced() -> None:
    runs = [file.parent for file in (Path(__file__).parent / "schema_1").rglob("run.json")]
    assert runs
    for run in runs:
        # Beside each run lies what the older program said of it.
        assert [name for name in foreign_files(run) if not name.startswith("expected")] == []
        assert is_proven(run)
    assert is_proven(Path(__file__).parent / "schema_1" / "interrupted")


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "state/theirs.db",
        "state/spec.json",
        "tensorboard/run-1/events.out.tfevents.1",
        "tensorboard/notes.txt",
        "members/a/notes.txt",
        "members/notes.txt",
        "backbones/photo.jpg",
        "model.keras.bak",
        ".model.keras",
        ".state.old/x",
        "history.csv/x",
    ],
)
def test_what_only_looks_like_ours_stays(name: str, tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    _write(run, name)
    assert len(foreign_files(run)) == 1
    delete_own(run)
    assert files(run) == [name]


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    _write(tmp_path, "disk/weights.npz")
    (run / "state").symlink_to(tmp_path / "disk")
    delete_own(run)
    assert files(run) == ["state"]
    assert files(tmp_path / "disk") == ["weights.npz"]


@pytest.mark.parametrize(("asked", "left"), [(True, []), (False, [EVENTS])])
def test_events_are_ours_where_the_record_asks_for_them(asked: bool, left: list[str], tmp_path: Path) -> None:
    run = _run(tmp_path / "run", {**OURS, "spec": {"train": {"fine_tune": {"tensorboard": asked}}}})
    _write(run, EVENTS)
    assert foreign_files(run) == left
    delete_own(run)
    assert files(run) == left


def test_files_of_file_managers_are_told_apart_and_not_deleted(tmp_path: Path) -> None:
    run = _run(tmp_path / "run")
    names = [".DS_Store", "._model.keras", "Thumbs.db", "backbones/desktop.ini", "members/a/.DS_Store"]
    for name in names:
        _write(run, name)
    contents = contents_of(run)
    assert contents.foreign == ()
    assert sorted(str(path.relative_to(run)) for path in contents.system) == sorted(names)
    delete_own(run)
    assert files(run) == sorted(names)


@pytest.mark.parametrize(
    ("content", "split", "is_ours"),
    [
        (json.dumps(OURS), None, True),
        ('{"name": "a game", "class_names": []}', "path,label,split,sha256\n", False),
        ("[1, 2]", None, False),
        ("", "path,label,split,sha256\n/a.png,cat,train,00\n", True),
        ('{"class_na', "path,label,split,sha256\r\n", True),
        ('{"class_na', "path,label,split,sha256,group\n", True),
        ('{"class_na', "path,label,split,sha256,near_duplicate\n", True),
        ('{"class_na', "path,label,split,sha256,group,near_duplicate\n", True),
        ('{"class_na', "path,label\n", False),
        ('{"class_na', None, False),
    ],
)
def test_a_record_proves_a_run_and_beside_a_damaged_one_its_split(
    content: str, split: str | None, is_ours: bool, tmp_path: Path
) -> None:
    _write(tmp_path, "run.json", content)
    if split is not None:
        _write(tmp_path, "split.csv", split)
    assert is_proven(tmp_path) is is_ours


def test_a_kill_while_a_run_is_deleted_leaves_what_proves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path / "run")
    deleted: list[str] = []
    unlink = Path.unlink

    def noted(path: Path, missing_ok: bool = False) -> None:
        assert is_proven(run)
        deleted.append(path.name)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", noted)
    delete_own(run)
    assert deleted[-1] == "run.json"


@pytest.mark.parametrize(
    ("names", "is_empty"),
    [
        ([], True),
        ([".DS_Store", ".headstart.lock"], True),
        (["state/.spec.json.x1"], True),
        (["notes.txt"], False),
        (["split.csv"], False),
        (["state/theirs"], False),
    ],
)
def test_a_folder_holds_nothing_or_something(names: list[str], is_empty: bool, tmp_path: Path) -> None:
    for name in names:
        _write(tmp_path, name)
    assert holds_nothing(tmp_path) is is_empty
