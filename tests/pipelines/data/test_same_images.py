"""An interrupted training resumes on the images that it began with, and on no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.same_images import OpenedRun, changes_since, joins_near_duplicates, write_split_once
from pipelines.runs.examples import Dataset, Example, Split
from pipelines.runs.folder import open_run, write_split
from pipelines.runs.layout import SPLIT_FILE
from pipelines.runs.manifest import RunRequest
from pipelines.system.progress import Silent
from tests.specs import train_spec

REQUEST = RunRequest(train=train_spec())
Image = tuple[str, str, Split, int]  # name, class, part, content
IMAGES: tuple[Image, ...] = (
    ("1.png", "cat", "train", 1),
    ("2.png", "dog", "train", 2),
    ("3.png", "cat", "validation", 3),
    ("4.png", "dog", "validation", 4),
)


def dataset_of(images: Sequence[Image], folder: str = "/p") -> Dataset:
    names = tuple(sorted({label for _, label, _, _ in images}))
    return Dataset(
        root=folder,
        origin="folders",
        class_names=names,
        examples=tuple(
            Example(
                path=f"{folder}/{name}",
                label=names.index(label),
                split=part,
                sha256=f"{content:064x}",
                source=f"{folder}/{name}",
            )
            for name, label, part, content in images
        ),
    )


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def begun(folder: Path, images: Sequence[Image], *, force: bool = False) -> OpenedRun:
    """A training that was interrupted once its images were listed, and is resumed."""
    open_run(folder, REQUEST, force=force)
    write_split(folder, dataset_of(images))
    place, is_resumed = open_run(folder, REQUEST, force=force)
    return OpenedRun(folder=place, request=REQUEST, is_resumed=is_resumed, force=force)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ((*IMAGES, ("5.png", "dog", "validation", 5)), "1 image added"),
        ((*IMAGES[:1], ("1b.png", "cat", "train", 1), *IMAGES[1:]), "1 image added"),  # a copy
        (IMAGES[:3], "1 image removed or changed"),
        ((*IMAGES[:3], ("4.png", "dog", "validation", 9)), "1 image added, 1 image removed or changed"),
        (
            (*IMAGES, ("5.png", "fox", "validation", 5), ("6.png", "fox", "train", 6)),
            "2 images added, new class `fox`",
        ),
        ((("1.png", "dog", "train", 1), *IMAGES[1:]), "images have another class, part, group or order"),
        ((IMAGES[1], IMAGES[0], *IMAGES[2:]), "images have another class, part, group or order"),
        ((*IMAGES[:2], ("3.png", "cat", "test", 3), IMAGES[3]), "images have another class, part, group or order"),
    ],
)
def test_what_changed_is_named(tmp_path: Path, images: tuple[Image, ...], words: str) -> None:
    run = begun(tmp_path / "run", IMAGES)
    with pytest.raises(UserError) as caught:
        write_split_once(run, dataset_of(images), Silent())
    assert caught.value.message == f"the data changed since the training in `{tmp_path / 'run'}` began: {words}"
    assert "begin anew with --force" in caught.value.hint


def test_force_begins_anew_where_the_images_changed(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", IMAGES, force=True)
    (run.folder / "state" / "checkpoint.npz").touch()
    (run.folder / "history.csv").touch()
    reporter = Lines()
    write_split_once(run, dataset_of(IMAGES), reporter)
    assert (run.folder / "state" / "checkpoint.npz").exists() and not reporter.lines
    write_split_once(run, dataset_of(IMAGES[:3]), reporter)
    assert reporter.lines == [
        f"the data changed since the training in `{run.folder}` began: 1 image removed or changed: "
        "the training begins anew"
    ]
    assert sorted(path.name for path in run.folder.rglob("*")) == [
        ".headstart.lock",
        "begun-with-force",
        "spec.json",
        "split.csv",
        "state",
    ]
    assert changes_since(run.folder, dataset_of(IMAGES[:3])) == ""
    # And it can be interrupted and resumed by the same command.
    assert open_run(tmp_path / "run", REQUEST, force=True) == (run.folder, True)


def test_force_begins_anew_where_the_list_of_images_is_damaged(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", IMAGES)
    (run.folder / SPLIT_FILE).write_text("path,label,split,sha256\na.png,cat\n")
    with pytest.raises(UserError, match="damaged") as caught:
        write_split_once(run, dataset_of(IMAGES), Silent())
    assert "--force" in caught.value.hint
    write_split_once(replace(run, force=True), dataset_of(IMAGES), Silent())
    assert changes_since(run.folder, dataset_of(IMAGES)) == ""


def test_what_is_resumed_is_compared_and_what_begins_is_not(tmp_path: Path) -> None:
    run = begun(tmp_path / "run", IMAGES)
    before = (run.folder / SPLIT_FILE).read_bytes()
    with pytest.raises(UserError):
        write_split_once(run, dataset_of(IMAGES[:3]), Silent())
    assert (run.folder / SPLIT_FILE).read_bytes() == before
    write_split_once(replace(run, is_resumed=False), dataset_of(IMAGES[:3]), Silent())
    assert (run.folder / SPLIT_FILE).read_bytes() != before


def test_the_same_images_elsewhere_are_the_same(tmp_path: Path) -> None:
    write_split(tmp_path, dataset_of(IMAGES))
    assert changes_since(tmp_path, dataset_of(IMAGES)) == ""
    assert changes_since(tmp_path, dataset_of(IMAGES, folder="/moved")) == ""


def test_a_training_that_was_interrupted_before_its_images_were_listed_begins_with_any(tmp_path: Path) -> None:
    assert changes_since(tmp_path, dataset_of(IMAGES)) == ""


def test_another_group_is_a_change_and_the_same_groups_are_none(tmp_path: Path) -> None:
    dataset = dataset_of(IMAGES)
    grouped = replace(dataset, examples=tuple(replace(image, group="p") for image in dataset.examples))
    write_split(tmp_path, grouped)
    assert changes_since(tmp_path, grouped) == ""
    assert changes_since(tmp_path, dataset) == "images have another class, part, group or order"


def test_a_training_that_began_without_near_duplicates_resumes_without(tmp_path: Path) -> None:
    run = begun(tmp_path / "old", IMAGES)
    assert not joins_near_duplicates(run)
    assert joins_near_duplicates(replace(run, is_resumed=False))
    (run.folder / SPLIT_FILE).unlink()  # it was interrupted while the images were checked
    assert joins_near_duplicates(run)
    new = begun(tmp_path / "new", IMAGES)
    dataset = dataset_of(IMAGES)
    like = replace(dataset.examples[1], near_duplicate=dataset.examples[0].sha256)
    write_split(new.folder, replace(dataset, examples=(dataset.examples[0], like, *dataset.examples[2:])))
    assert joins_near_duplicates(new)
    (new.folder / SPLIT_FILE).write_text("path,label,split,sha256\na.png,cat\n")
    with pytest.raises(UserError, match="damaged"):
        joins_near_duplicates(new)
    assert joins_near_duplicates(replace(new, force=True))
