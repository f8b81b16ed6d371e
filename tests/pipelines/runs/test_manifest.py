"""A run is complete when its manifest is there; whatever else lies in a folder is never taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.runs.examples import Dataset, Example, Skipped
from pipelines.runs.folder import finish_run, open_run, read_split, write_split
from pipelines.runs.manifest import MANIFEST_FILE, MODEL_FILE, STATE_FOLDER, RunRequest
from pipelines.runs.read_manifest import is_run, read_manifest
from tests.pipelines.manifests import manifest_with, stage_with
from tests.specs import train_spec

MANIFEST = manifest_with(stages=(stage_with(),), notes=("a note",))
REQUEST = RunRequest(train=train_spec(data="photos", seed=1))
OTHER_REQUEST = RunRequest(train=train_spec(data="photos", seed=2))


def _finished(folder: Path) -> Path:
    open_run(folder, REQUEST, force=False)
    (folder / MODEL_FILE).write_bytes(b"a model")
    finish_run(folder, MANIFEST)
    return folder


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    assert read_manifest(run) == MANIFEST
    assert not (run / STATE_FOLDER).exists()


def _nothing(path: Path) -> None:
    pass


def _empty(path: Path) -> None:
    path.mkdir()


def _interrupted(path: Path) -> None:
    open_run(path, REQUEST, force=False)


def _cut_short(path: Path) -> None:
    _finished(path)
    (path / MANIFEST_FILE).write_text('{"schema": 1,')


def _a_list(path: Path) -> None:
    _finished(path)
    (path / MANIFEST_FILE).write_text("[]")


def _key_missing(path: Path) -> None:
    _finished(path)
    values = json.loads((path / MANIFEST_FILE).read_text())
    del values["class_names"]
    (path / MANIFEST_FILE).write_text(json.dumps(values))


def _from_the_future(path: Path) -> None:
    _finished(path)
    values = json.loads((path / MANIFEST_FILE).read_text())
    (path / MANIFEST_FILE).write_text(json.dumps({**values, "schema": 99}))


def _no_model(path: Path) -> None:
    _finished(path)
    (path / MODEL_FILE).unlink()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "does not exist"),
        (_empty, "is not a run"),
        (_interrupted, "was interrupted"),
        (_cut_short, "is damaged"),
        (_a_list, "is damaged"),
        (_key_missing, "is damaged"),
        (_from_the_future, "later headstart"),
        (_no_model, "has no `model.keras`"),
    ],
)
def test_what_is_no_complete_run_is_named(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    make(tmp_path / "run")
    with pytest.raises(UserError, match=words) as caught:
        read_manifest(tmp_path / "run")
    assert str(tmp_path / "run") in caught.value.message
    assert caught.value.hint


def test_the_same_command_goes_on_and_another_does_not(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert open_run(run, REQUEST, force=False) == (run, False)
    assert open_run(run, REQUEST, force=False) == (run, True)
    with pytest.raises(UserError, match="other options"):
        open_run(run, OTHER_REQUEST, force=False)
    assert open_run(run, OTHER_REQUEST, force=True) == (run, False)


def test_a_complete_run_is_replaced_only_by_force(tmp_path: Path) -> None:
    run = _finished(tmp_path / "run")
    with pytest.raises(UserError, match="complete run"):
        open_run(run, REQUEST, force=False)
    assert read_manifest(run) == MANIFEST
    open_run(run, REQUEST, force=True)
    assert not is_run(run)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_other_files_is_never_touched(force: bool, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match="not empty and is not a headstart run"):
        open_run(tmp_path, REQUEST, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_split_keeps_every_name(tmp_path: Path) -> None:
    names = ("/p/new\nline.jpg", '/p/comma,quote".jpg', "/p/not-utf8-\udcff.jpg")
    examples = tuple(
        Example(path=name, label=number % 2, split="train", sha256=f"{number:064}", source=name)
        for number, name in enumerate(names)
    )
    dataset = Dataset(
        root="/p",
        origin="folders",
        class_names=("cat", "dog"),
        examples=examples,
        skipped=(Skipped(path="/p/broken.jpg", reason="cut short"),),
    )
    write_split(tmp_path, dataset)
    assert read_split(tmp_path, dataset.class_names) == examples
    assert (tmp_path / "skipped.csv").read_text() == "path,reason\n/p/broken.jpg,cut short\n"
    write_split(tmp_path, replace(dataset, skipped=()))
