"""Files, folders and lists become inputs, in order and lazily, and decode as in training."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipelines.inference.inputs import Input, expand, load
from pipelines.runs.square import Square
from tests.pipelines.pictures import drawn, exif, pillow_resized, saved

SQUARE = Square(size=32, fit="squash")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_and_folders_in_the_order_given_and_in_natural_order_inside(here: Path) -> None:
    touch(here, "z.jpg", "photos/10.jpg", "photos/9.jpg", "photos/b/1.jpg", "photos/.hidden.jpg", "photos/a/2", "a.jpg")
    (here / "photos" / "b" / "up").symlink_to(here / "photos")
    paths = [source.path for source in expand(["z.jpg", "photos", "a.jpg", "z.jpg"])]
    inside = ["photos/9.jpg", "photos/10.jpg", "photos/a/2", "photos/b/1.jpg"]
    assert paths == ["z.jpg", *inside, "a.jpg", "z.jpg"]


def test_what_cannot_be_opened_is_one_unreadable_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(here, "a.jpg", "locked/1.jpg")
    (here / "empty").mkdir()
    real = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "No")) if path == "locked" else real(path)
    )
    assert list(expand(["gone.jpg", "a.jpg", "empty", "locked", ".hidden"])) == [
        Input("gone.jpg", "no such file"),
        Input("a.jpg"),
        Input("empty", "no file in this folder"),
        Input("locked", "the folder cannot be read: No"),
        Input(".hidden", "no such file"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a.jpg\nb.jpg\n", ["a.jpg", "b.jpg"]),
        (b"\xef\xbb\xbfa.jpg\r\n\r\nb.jpg", ["a.jpg", "b.jpg"]),
        (b"two\nlines.jpg\0b.jpg\0", ["two\nlines.jpg", "b.jpg"]),
        (b"\xff.jpg\n", ["\udcff.jpg"]),
        (b"folder\na.jpg\n", ["folder/1.jpg", "a.jpg"]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_lists_on_stdin_and_in_files(here: Path, content: bytes, expected: list[str]) -> None:
    touch(here, "a.jpg", "b.jpg", "two\nlines.jpg", "folder/1.jpg", "\udcff.jpg")
    assert [source.path for source in expand(["-"], io.BytesIO(content))] == expected
    (here / "list.txt").write_bytes(content)
    (here / "deep").mkdir()
    (here / "deep" / "list.LST").write_bytes(content)
    assert [(source.path, source.reason) for source in expand(["list.txt", "deep/list.LST"])] == [
        (path, None) for path in expected * 2
    ]


def test_names_across_blocks_are_joined(here: Path) -> None:
    names = [f"{'n' * 100}{number}" for number in range(3000)]
    listed = [source.path for source in expand(["-"], io.BytesIO("\n".join(names).encode()))]
    assert listed == names


def test_a_zero_byte_in_a_path_is_a_reason(here: Path) -> None:
    stream = io.BytesIO(b"x\n" * 40_000 + b"a\0b\n")
    *_, last = expand(["-"], stream)
    assert last == Input("a\0b", "the path contains a zero byte")


def test_a_list_is_read_as_it_comes(here: Path) -> None:
    class Slow(io.RawIOBase):
        """A pipe that gives one line at a time and fails when it is read too far ahead."""

        def __init__(self) -> None:
            self.lines: Iterator[bytes] = iter([b"a.jpg\n", b"b.jpg\n"])

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub takes any writable buffer
            line = next(self.lines)
            buffer[: len(line)] = line
            return len(line)

    touch(here, "a.jpg", "b.jpg")
    inputs = expand(["-"], io.BufferedReader(Slow()))
    assert [source.path for source in islice(inputs, 2)] == ["a.jpg", "b.jpg"]


def test_a_hundred_thousand_paths_are_not_held_in_memory_in_memory(here: Path) -> None:
    touch(here, "a.jpg")
    stream = io.BytesIO(b"a.jpg\n" * 100_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in expand(["-"], stream)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_pixels_are_those_of_training(here: Path) -> None:
    content = saved(drawn(90, 60), "PNG", exif=exif(6))
    (here / "turned.bin").write_bytes(content)
    (here / "scan.tif").write_bytes(saved(drawn(90, 60), "TIFF"))
    for name, data in (("turned.bin", content), ("scan.tif", saved(drawn(90, 60), "PNG"))):
        loaded = load(Input(name), SQUARE)
        assert (loaded.path, loaded.status, loaded.reason) == (name, "ok", "")
        assert loaded.pixels is not None
        assert loaded.pixels.shape == (32, 32, 3)
        assert loaded.pixels.dtype == np.float32
        assert np.abs(loaded.pixels - pillow_resized(data, 32)).mean() < 1.0


@pytest.mark.parametrize(
    ("source", "content", "words"),
    [
        (Input("a.jpg"), b"", "empty"),
        (Input("a.jpg"), b"<html></html>", "web page"),
        (Input("a.jpg"), saved(drawn(300, 300), "JPEG")[:-900], "damaged"),
        (Input("gone.jpg"), b"", "no such file"),
        (Input("a.jpg", "known before"), b"", "known before"),
    ],
)
def test_a_bad_file_has_a_reason_and_raises_nothing(here: Path, source: Input, content: bytes, words: str) -> None:
    (here / "a.jpg").write_bytes(content)
    loaded = load(source, SQUARE)
    assert loaded.status == "unreadable"
    assert words in loaded.reason
    assert loaded.pixels is None


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("notes.txt", b"a list of what is here", "not an image"),
        ("notes.txt", b"", "not an image"),
        ("report.pdf", b"%PDF-1.4", "not an image"),
        ("archive", b"\0\1\2\3", "not an image"),
        ("photo.jpg", b"a list of what is here", "unreadable"),
        ("photo.heic", b"\0\0\0 ftypheic", "unreadable"),
        ("photo.jpg", b"", "unreadable"),
        ("photo", saved(drawn(300, 300), "JPEG")[:-900], "unreadable"),
        ("photo", saved(drawn(30, 30), "PNG"), "ok"),
    ],
)
def test_another_file_in_a_folder_is_no_damaged_image(here: Path, name: str, content: bytes, status: str) -> None:
    (here / "photos").mkdir()
    (here / "photos" / name).write_bytes(content)
    (source,) = expand(["photos"])
    assert load(source, SQUARE).status == status
    (typed,) = expand([f"photos/{name}"]) if not name.endswith(".txt") else [Input(f"photos/{name}")]
    assert load(typed, SQUARE).status == ("ok" if status == "ok" else "unreadable")
