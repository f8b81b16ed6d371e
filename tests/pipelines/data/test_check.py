"""Checking: what is an image and what is not, whatever it is called; what is remembered; nothing half-written."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import UserError
from pipelines.data import decoded_files
from pipelines.data.check import check
from pipelines.data.known_images import DecodeResult, KnownImages
from pipelines.data.scan import scan
from pipelines.images import readable
from pipelines.runs.examples import Dataset
from pipelines.system.cache import MARKER, transcoded_file
from pipelines.system.cache_users import USERS_FILE
from pipelines.system.progress import Task
from tests.pipelines.pictures import drawn, exif, pillow_pixels, saved
from tests.pipelines.reporters import Notes


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HEADSTART_CACHE", str(folder))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of six PNG, large enough to be divided."""
    for label in range(2):
        folder = tmp_path / "data" / "ab"[label]
        folder.mkdir(parents=True)
        for number in range(6):
            (folder / f"{number}.png").write_bytes(saved(drawn(seed=10 * label + number), "PNG"))
    return tmp_path / "data"


def checked(data: Path, **options: bool) -> Dataset:
    return check(scan(str(data)), strict=options.get("strict", False))


def with_exif(form: str) -> bytes:
    return saved(drawn(), form, exif=b"Exif\0\0" + exif(6))


def deep(mode: str) -> bytes:
    return saved(Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21), mode)


def animated(form: str) -> bytes:
    return saved(drawn(), form, save_all=True, append_images=[drawn(seed=1), drawn(seed=2)])


def bomb() -> bytes:
    """A PNG of a few bytes whose header announces 400 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


IMAGES: dict[str, Callable[[], bytes]] = {
    "rotated by EXIF": lambda: with_exif("JPEG"),
    "CMYK": lambda: saved(drawn().convert("CMYK"), "JPEG"),
    "gray": lambda: saved(drawn().convert("L"), "JPEG"),
    "progressive": lambda: saved(drawn(), "JPEG", progressive=True),
    "16-bit": lambda: deep("PNG"),
    "16-bit TIFF": lambda: deep("TIFF"),
    "palette": lambda: saved(drawn().convert("P"), "PNG"),
    "transparent": lambda: saved(drawn().convert("RGBA"), "PNG"),
    "animated GIF": lambda: animated("GIF"),
    "animated PNG": lambda: animated("PNG"),
    "WebP": lambda: saved(drawn(), "WEBP", lossless=True),
    "BMP": lambda: saved(drawn(), "BMP"),
    "BMP with a palette": lambda: saved(drawn().convert("P"), "BMP"),
    "TIFF": lambda: saved(drawn(), "TIFF"),
    "compressed TIFF": lambda: saved(drawn(), "TIFF", compression="tiff_lzw"),
}

NOT_IMAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero bytes": (lambda: b"", "empty"),
    "truncated JPEG": (lambda: saved(drawn(400, 300), "JPEG")[:-2000], "damaged"),
    "truncated PNG": (lambda: saved(drawn(400, 300), "PNG")[:-200], "damaged"),
    "truncated in the header": (lambda: saved(drawn(), "JPEG")[:12], "header is damaged"),
    "truncated TIFF": (lambda: saved(drawn(400, 300), "TIFF")[:-2000], "damaged"),
    "HTML": (lambda: b"<!DOCTYPE html><html><body>404 not found</body></html>", "web page"),
    "text": (lambda: b"label: dog\n", "text"),
    "JSON": (lambda: b'{"image": "dog.jpg"}', "text"),
    "XML": (lambda: b'<?xml version="1.0"?><annotation/>', "XML"),
    "PDF": (lambda: b"%PDF-1.7\n\x00\xff", "PDF"),
    "noise": (lambda: bytes(range(256)) * 8, "not an image"),
    "a 400-megapixel bomb": (bomb, "more than the limit"),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_the_content_decides_and_not_the_ending(data: Path, kind: str) -> None:
    content = IMAGES[kind]()
    (data / "a" / "odd.jpg").write_bytes(content)
    dataset = checked(data)
    assert dataset.skipped == ()
    (odd,) = [example for example in dataset.examples if example.path.endswith("odd.jpg")]
    assert odd.sha256 == hashlib.sha256(content).hexdigest()

    import tensorflow as tf

    from pipelines.images.decode import decode

    pixels = decode(tf.constant(Path(odd.source).read_bytes())).numpy()
    if "16-bit" in kind:
        expected = np.repeat(np.asarray(Image.open(io.BytesIO(content)))[..., None] >> 8, 3, axis=-1)
    elif kind == "transparent":
        expected = np.asarray(drawn())
    else:
        expected = pillow_pixels(content)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected.astype(int)).mean() < 2.0


@pytest.mark.parametrize("kind", NOT_IMAGES)
def test_a_file_that_is_not_an_image_is_left_out_with_its_reason(data: Path, kind: str) -> None:
    content, words = NOT_IMAGES[kind]
    bad = data / "a" / "photo.jpg"
    bad.write_bytes(content())
    dataset = checked(data)
    assert [example.path for example in dataset.skipped] == [str(bad)]
    assert words in dataset.skipped[0].reason
    assert str(bad) not in dataset.skipped[0].reason
    assert len(dataset.examples) == 12
    # A second look comes to the same, now from what is remembered.
    assert checked(data) == dataset
    with pytest.raises(UserError, match="1 of 13 files") as caught:
        checked(data, strict=True)
    assert str(bad) in caught.value.message
    assert words in caught.value.message


def test_what_cannot_be_opened_is_left_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "a" / "gone.jpg").symlink_to("nothing")
    (data / "a" / "round.jpg").symlink_to("round.jpg")
    os.mkfifo(data / "b" / "pipe.jpg")
    locked = data / "b" / "0.png"
    real = os.stat

    def refuse(path: bytes | str, **options: bool) -> os.stat_result:
        if os.fsdecode(path) == str(locked):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    dataset = checked(data)
    assert {Path(example.path).name: example.reason for example in dataset.skipped} == {
        "gone.jpg": "no such file or directory",
        "round.jpg": "too many levels of symbolic links",
        "pipe.jpg": "not a regular file",
        "0.png": "permission denied",
    }


def test_a_video_is_not_read(data: Path) -> None:
    with open(data / "a" / "film.mp4", "wb") as file:
        file.truncate(readable.MAX_BYTES + 1)  # sparse: takes no room
    assert "more than any image has" in checked(data).skipped[0].reason


def test_names_that_break_lines_and_encodings(data: Path) -> None:
    for name in (b"two\nlines.jpg", b"\xff\xfe.png"):
        with open(os.path.join(os.fsencode(data), b"a", name), "wb") as file:
            file.write(saved(drawn(seed=len(name)), "PNG"))
    with open(os.path.join(os.fsencode(data), b"b", b"\xff\n.png"), "wb") as file:
        file.write(b"no image")
    dataset = checked(data)
    assert len(dataset.examples) == 14
    assert all(Path(example.source).is_file() for example in dataset.examples)
    with pytest.raises(UserError) as caught:
        checked(data, strict=True)
    assert r"\xff\n.png" in caught.value.message
    caught.value.message.encode("utf-8")


def test_parts_and_order(data: Path) -> None:
    dataset = checked(data)
    assert [example.path for split in ("train", "validation", "test") for example in dataset.part(split)] == [
        example.path for example in dataset.examples
    ]
    for split in ("train", "validation", "test"):
        part = dataset.part(split)
        assert {example.label for example in part} == {0, 1}
        assert [example.path for example in part] == sorted(example.path for example in part)


def test_groups_of_a_csv_are_kept_and_lie_in_one_part(data: Path) -> None:
    images = sorted(data.rglob("*.png"))
    lines = [f"{path},{path.parent.name},p{int(path.stem) // 2}" for path in images[:-1]]
    (data / "list.csv").write_text("path,label,group\n" + "\n".join([*lines, f"{images[-1]},b,"]))
    dataset = check(scan(str(data / "list.csv")))
    group_of = {example.path: example.group for example in dataset.examples}
    assert [group_of[str(path)] for path in images] == [*(f"p{number // 2}" for number in [*range(6), *range(5)]), None]
    parts = {(example.group, example.split) for example in dataset.examples if example.group}
    assert len(parts) == 3
    assert any("12 images in 4 groups (of one `group`, or identical)" in remark for remark in dataset.remarks)


def test_a_class_with_one_image_is_refused_and_named(data: Path) -> None:
    (data / "c").mkdir()
    (data / "c" / "1.png").write_bytes(saved(drawn(seed=99), "PNG"))
    with pytest.raises(UserError, match="class `c` has 1 distinct image"):
        checked(data)


def test_a_class_without_a_readable_image_is_named_with_a_reason(data: Path) -> None:
    (data / "c").mkdir()
    (data / "c" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match="class `c` has no readable image among 1 file,") as caught:
        checked(data)
    assert "empty" in caught.value.message


def test_no_readable_image_at_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.jpg").write_bytes(b"text")
    for for_training in (True, False):
        with pytest.raises(UserError, match="no readable image among 2 files"):
            check(scan(str(tmp_path / "data")), for_training=for_training)


def test_evaluation_divides_nothing_and_takes_one_image(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "1.png").write_bytes(saved(drawn(), "PNG"))
    dataset = check(scan(str(tmp_path / "data"), for_training=False), for_training=False)
    assert [example.split for example in dataset.examples] == ["test"]


def test_a_conflict_of_labels_is_reported(data: Path) -> None:
    (data / "b" / "copy.png").write_bytes((data / "a" / "0.png").read_bytes())
    dataset = checked(data)
    assert any("1 image with identical copies in two classes" in line for line in dataset.remarks)
    copies = [example for example in dataset.examples if example.path.endswith(("a/0.png", "copy.png"))]
    assert copies[0].split == copies[1].split
    assert copies[0].sha256 == copies[1].sha256


def test_the_users_folder_is_not_written_to(data: Path) -> None:
    (data / "a" / "scan.tif").write_bytes(IMAGES["TIFF"]())

    def tree() -> dict[str, tuple[bytes, int]]:
        files = sorted(path for path in data.rglob("*"))
        return {str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in files}

    before = tree()
    checked(data)
    assert tree() == before


def test_a_second_check_decodes_nothing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "a" / "scan.tif").write_bytes(IMAGES["TIFF"]())
    first = checked(data)
    decoded: list[bytes | DecodeResult] = []

    def count(content: bytes, max_pixels: int) -> readable.DecodedContent:
        decoded.append(content)
        return readable.decode_content(content, max_pixels)

    monkeypatch.setattr(decoded_files, "decode_content", count)
    with monkeypatch.context() as patched:
        patched.setattr(KnownImages, "add", lambda known_images, results: decoded.extend(list(results)))
        assert checked(data) == first
    assert decoded == []
    (data / "b" / "new.png").write_bytes(saved(drawn(seed=50), "PNG"))
    assert len(checked(data).examples) == len(first.examples) + 1
    assert len(decoded) == 1
    # Another version of the decode looks again.
    monkeypatch.setattr(decoded_files, "DECODE_VERSION", -1)
    checked(data)
    assert len(decoded) == 1 + len(first.examples) + 1


def test_results_are_remembered_for_the_versions_that_decoded(data: Path, cache: Path) -> None:
    checked(data)
    with closing(sqlite3.connect(cache / "ledger.sqlite")) as database:
        decoders = database.execute("SELECT DISTINCT judge FROM verdicts").fetchall()
    # The key of users' caches: another form of it decodes their images again.
    assert decoders == [(f"2/268435456/{version('tensorflow')}/{version('pillow')}",)]


def test_a_lost_png_is_made_again(data: Path) -> None:
    content = IMAGES["TIFF"]()
    (data / "a" / "scan.tif").write_bytes(content)
    png = transcoded_file(hashlib.sha256(content).hexdigest())
    first = checked(data)
    made = png.read_bytes()
    png.unlink()
    assert checked(data) == first
    assert png.read_bytes() == made
    assert [path.name for path in png.parent.iterdir()] == [png.name]


def test_a_full_disk_is_reported_and_leaves_nothing_half_written(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "a" / "scan.tif").write_bytes(IMAGES["TIFF"]())
    real = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        real(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=r"no space left on the disk: `.*`") as caught:
        checked(data)
    assert "HEADSTART_CACHE" in caught.value.hint
    names = {path.name for path in cache.rglob("*") if path.is_file()}
    assert names == {"ledger.sqlite", MARKER, USERS_FILE}
    monkeypatch.undo()
    monkeypatch.setenv("HEADSTART_CACHE", str(cache))
    assert len(checked(data).examples) == 13


def test_an_unwritable_cache_is_reported(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"the cache .* cannot be written") as caught:
        checked(data)
    assert "HEADSTART_CACHE" in caught.value.hint


def test_progress_counts_every_file(data: Path) -> None:
    class Counting:
        def __init__(self) -> None:
            self.total: int | None = None
            self.done = 0

        def note(self, text: str) -> None:
            raise AssertionError(text)

        def detail(self, text: str) -> None:
            raise AssertionError(text)

        def warn(self, text: str) -> None:
            raise AssertionError(text)

        @contextmanager
        def task(self, name: str, total: int | None) -> Iterator[Task]:
            self.total = total
            yield self

        def advance(self, count: int = 1, **fields: str) -> None:
            self.done += count

        def line(self, text: str, *, passing: bool = False) -> None:
            raise AssertionError(text)

    counting = Counting()
    check(scan(str(data)), reporter=counting)
    assert counting.total == counting.done == 12


def test_a_damaged_list_of_known_images_is_said_once(data: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    for is_said in (True, False):
        notes = Notes()
        check(scan(str(data)), reporter=notes)
        assert any("was damaged: it is made anew" in line for line in notes.lines) is is_said
