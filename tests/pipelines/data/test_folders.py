"""Class folders: which files belong to a class, in which part, and what a wrong layout is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.data.listing import Listing
from pipelines.data.scan import scan
from tests.pipelines.data.tree import refused, touch


def labelled(listing: Listing, root: Path) -> set[tuple[str, str]]:
    return {(listing.class_names[file.label], os.path.relpath(file.path, root)) for file in listing.files}


def test_class_folders_at_any_depth_without_what_is_hidden(tmp_path: Path) -> None:
    touch(tmp_path, "dog/1.jpg", "dog/deep/er/2.jpg", "cat/3", "cat/.hidden/4.jpg", "cat/.5.jpg", "cat/Thumbs.db")
    touch(tmp_path, ".git/6.jpg", "__MACOSX/dog/7.jpg", "dog/__MACOSX/8.jpg", "dog/desktop.ini", "cat/notes.txt")
    listing = scan(str(tmp_path))
    assert listing.class_names == ("cat", "dog")
    assert listing.origin == "folders"
    # The content decides what is an image, so `notes.txt` and a name without an ending are candidates.
    assert labelled(listing, tmp_path) == {
        ("dog", "dog/1.jpg"),
        ("dog", "dog/deep/er/2.jpg"),
        ("cat", "cat/3"),
        ("cat", "cat/notes.txt"),
    }
    assert all(os.path.isabs(file.path) and file.split is None for file in listing.files)


def test_loops_of_links_end_and_a_file_counts_once_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "data/a/1.jpg", "data/a/below/2.jpg", "data/b/3.jpg", "store/4.jpg")
    (tmp_path / "data/a/below/up").symlink_to(tmp_path / "data/a")
    (tmp_path / "data/a/self").symlink_to("self")
    (tmp_path / "data/a/again.jpg").symlink_to("1.jpg")
    (tmp_path / "data/a/away").symlink_to(tmp_path / "store")
    (tmp_path / "data/a/away-4.jpg").symlink_to(tmp_path / "store/4.jpg")
    (tmp_path / "data/b/1.jpg").symlink_to(tmp_path / "data/a/1.jpg")
    (tmp_path / "data/b/gone.jpg").symlink_to("nothing")
    listing = scan(str(tmp_path / "data"))
    reached = [(listing.class_names[file.label], os.path.realpath(file.path)) for file in listing.files]
    assert sorted(reached) == sorted(
        ("a", str(tmp_path / name)) for name in ("data/a/1.jpg", "data/a/below/2.jpg", "store/4.jpg", "data/a/self")
    ) + [("b", str(tmp_path / name)) for name in ("data/a/1.jpg", "data/b/3.jpg", "data/b/nothing")]


def test_names_with_newlines_and_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"a\nb/one\ntwo.jpg", b"\xff\xfe/\xe9.jpg"):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path))
        with open(path, "wb"):
            pass
    listing = scan(str(tmp_path))
    assert {os.fsencode(name) for name in listing.class_names} == {b"a\nb", b"\xff\xfe"}
    assert all(os.path.exists(file.path) for file in listing.files)


def test_given_parts_are_kept_under_any_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "Train/a/1", "Train/b/2", "val/a/3", "val/b/4", "test/b/5", "test/a/6", "masks/7", "readme")
    listing = scan(str(tmp_path))
    assert listing.origin == "split folders"
    assert listing.has_given_parts
    assert {(Path(file.path).name, file.split) for file in listing.files} == {
        ("1", "train"), ("2", "train"), ("3", "validation"), ("4", "validation"), ("5", "test"), ("6", "test"),
    }  # fmt: skip
    assert any("`masks`" in line for line in listing.remarks)
    assert any("`readme`" in line for line in listing.remarks)


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/1", "bus/2")
    assert scan(str(tmp_path)).class_names == ("bus", "train")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "is empty"),
        (["1.jpg", "2.jpg"], "has no class folders, only 2 files"),
        (["only/1.jpg"], "one class, `only`"),
        (["a/1.jpg", "b/.hidden.jpg"], "class `b` has no image"),
        (["train/a/1", "train/b/2", "val/a/3", "val/c/4"], "the classes of `val` in"),
        (["train/a/1", "train/b/2", "val/a/.3", "val/b/.4"], "val` has no images"),
        (["train/a/1", "train/b/.2", "val/a/3"], "class `train/b` has no images"),
        (["train/a/1", "train/b/2", "test/a/3", "test/b/4", "test/c/5"], "extra `c`"),
        (["train/a/1", "train/b/2", "val/1"], "has no class folders"),
        (["val/a/1", "val/b/2", "test/a/3", "test/b/4"], "no `train`"),
        (["train/a/1", "train/b/2", "val/a/3", "val/b/4", "valid/a/5", "valid/b/6"], "two folders for validation"),
    ],
)
def test_a_wrong_layout_is_named(tmp_path: Path, files: list[str], words: str) -> None:
    touch(tmp_path, *files)
    assert words in refused(tmp_path).message


def test_classes_that_differ_are_both_listed(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1", "train/b/2", "test/a/3", "test/c/4")
    error = refused(tmp_path)
    assert "missing `b`; extra `c`" in error.message
    assert "`train` has `a`, `b`; `test` has `a`, `c`" in error.hint
    assert len(scan(str(tmp_path), for_training=False).class_names) == 3


def test_a_part_may_lack_classes_that_are_learned(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1", "train/b/2", "train/c/3", "val/a/4", "val/b/.none", "test/c/5")
    listing = scan(str(tmp_path))
    assert listing.class_names == ("a", "b", "c")
    assert [(file.label, file.split) for file in listing.files] == [
        (0, "train"), (1, "train"), (2, "train"), (0, "validation"), (2, "test"),
    ]  # fmt: skip


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1", "b/locked/2")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert f"`{tmp_path}/b/locked` cannot be read: Permission denied" in refused(tmp_path).message


def test_parts_that_spell_a_class_in_two_unicode_forms_are_matched(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    touch(tmp_path, f"train/{composed}/1.jpg", "train/bar/2.jpg", f"test/{decomposed}/3.jpg", "test/bar/4.jpg")
    listing = scan(str(tmp_path))
    assert listing.class_names == ("bar", composed)
    assert labelled(listing, tmp_path) == {
        (composed, f"train/{composed}/1.jpg"),
        (composed, f"test/{decomposed}/3.jpg"),
        ("bar", "train/bar/2.jpg"),
        ("bar", "test/bar/4.jpg"),
    }
    (remark,) = listing.remarks
    assert "different Unicode forms" in remark


def test_two_unicode_forms_in_one_part_are_classes_that_another_part_lacks(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    touch(tmp_path, f"train/{composed}/1.jpg", f"test/{composed}/2.jpg", f"test/{decomposed}/3.jpg", "train/tea/4.jpg")
    assert "the classes of `test`" in refused(tmp_path).message


def test_a_run_is_never_a_class_and_neither_is_a_folder_of_runs(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg", "b-run/run.json", "b-run/curves.png")
    touch(tmp_path, "runs/photos-1/run.json", "runs/photos-1/curves.png", "runs/photos-2/run.json")
    listing = scan(str(tmp_path))
    assert listing.class_names == ("a", "b")
    (remark,) = listing.remarks
    assert "`b-run`" in remark and "`runs`" in remark and "`run.json`" in remark


def test_a_run_beside_the_parts_or_in_a_part_is_neither_part_nor_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1", "train/b/2", "test/a/3", "test/b/4", "test/run/run.json", "run/run.json")
    listing = scan(str(tmp_path))
    assert listing.class_names == ("a", "b")
    assert len(listing.remarks) == 2 and all("`run`" in remark for remark in listing.remarks)


def test_a_class_of_folders_and_pictures_is_a_class_although_a_run_lies_in_it(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/run/run.json", "b/2.jpg")
    assert scan(str(tmp_path)).class_names == ("a", "b")
