"""Walking: every visible file once, in order where asked, and an error for each folder that cannot be listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.data.walk import is_hidden, list_folder, walk
from tests.pipelines.data.tree import touch


def fail(path: str, error: OSError) -> None:
    raise AssertionError(f"{path}: {error}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [(".git", True), ("Thumbs.db", True), ("__MACOSX", True), ("@eaDir", True), ("thumbs", False), ("a.db", False)],
)
def test_hidden_names(name: str, expected: bool) -> None:
    assert is_hidden(name) is expected


def test_what_is_neither_folder_nor_file_is_listed_as_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "folder/1", "file", ".hidden", ".git/2", "desktop.ini")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    folders, files = list_folder(str(tmp_path))
    assert sorted(folders) == ["folder", "link"]
    assert sorted(files) == ["dangling", "file", "itself", "pipe"]


def test_ordered_files_come_before_the_folders_beside_them(tmp_path: Path) -> None:
    touch(tmp_path, "item10", "item2", "b2/x/1", "b2/2", "b10/3", "A/4")
    paths = [os.path.relpath(path, tmp_path) for path, _ in walk(str(tmp_path), ordered=True, on_error=fail)]
    assert paths == ["item2", "item10", "A/4", "b2/2", "b2/x/1", "b10/3"]
    # The standard library walks the same files.
    walked = {os.path.join(folder, name) for folder, _, names in os.walk(tmp_path) for name in names}
    assert {os.path.join(tmp_path, path) for path in paths} == walked


def test_a_folder_reached_twice_is_walked_once_and_named_by_its_real_path(tmp_path: Path) -> None:
    touch(tmp_path, "data/a/1", "store/2")
    (tmp_path / "data/a/up").symlink_to(tmp_path / "data")
    (tmp_path / "data/away").symlink_to(tmp_path / "store")
    (tmp_path / "data/again").symlink_to(tmp_path / "store")
    files = sorted(walk(str(tmp_path / "data"), ordered=True, on_error=fail))
    assert [os.path.basename(path) for path, _ in files] == ["1", "2"]
    assert [real for _, real in files] == [str(tmp_path / "data/a"), str(tmp_path / "store")]


def test_a_folder_that_cannot_be_listed_is_reported_and_the_others_are_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1", "b/2", "c/3")
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    errors: list[str] = []
    paths = [
        os.path.relpath(path, tmp_path)
        for path, _ in walk(str(tmp_path), ordered=True, on_error=lambda path, error: errors.append(path))
    ]
    assert paths == ["a/1", "c/3"]
    assert errors == [str(tmp_path / "b")]
