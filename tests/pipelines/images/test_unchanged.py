"""An image is decoded a second time only as it was checked; one that changed is named."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf

from models.errors import UserError
from pipelines.images.unchanged import change_of, digest_of, naming_changed, read_unchanged
from pipelines.runs.examples import Example
from tests.pipelines.pictures import drawn, saved, sha256_of


@pytest.fixture
def example(tmp_path: Path) -> Example:
    path = tmp_path / "a.png"
    path.write_bytes(saved(drawn(), "PNG"))
    return Example(path=str(path), label=0, split="train", sha256=sha256_of(path), source=str(path))


def read(example: Example) -> bytes:
    graph = tf.function(read_unchanged)  # as tf.data runs it
    content: bytes = graph(tf.constant(example.source), tf.constant(digest_of(example))).numpy()
    return content


def test_the_content_that_was_checked_is_read(example: Example) -> None:
    assert read(example) == Path(example.path).read_bytes()
    assert change_of(example) == ""


def test_zero_bytes_at_the_end_of_content_and_hash_count(tmp_path: Path) -> None:
    # NumPy's strings drop them.
    contents = (f"{number}".encode() + b"\0\0" for number in range(10_000))
    content = next(content for content in contents if hashlib.sha256(content).digest()[-1] == 0)
    path = tmp_path / "zeros"
    path.write_bytes(content)
    example = Example(path=str(path), label=0, split="train", sha256=sha256_of(path), source=str(path))
    assert read(example) == content
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match="changed"), naming_changed([example]):
        read(example)


def test_other_content_is_refused_by_name(example: Example) -> None:
    before = Path(example.path)
    before.with_name("b.png").write_bytes(before.read_bytes())
    other = replace(example, path=str(before.with_name("b.png")), source=str(before.with_name("b.png")))
    before.write_bytes(saved(drawn(seed=1), "PNG"))
    with pytest.raises(UserError, match=r"a\.png` changed while it was in use"), naming_changed([other, example]):
        read(example)
    assert change_of(other) == ""


def test_an_image_that_is_gone_is_named(example: Example) -> None:
    Path(example.path).unlink()
    with pytest.raises(UserError, match=r"a\.png` can no longer be read: no such file"), naming_changed([example]):
        read(example)


def test_another_error_of_tensorflow_stays_what_it_is(example: Example) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError), naming_changed([example]):
        tf.io.decode_png(b"not a picture")


def test_headstarts_own_png_of_an_image_is_read_whatever_became_of_the_image(example: Example, tmp_path: Path) -> None:
    png = tmp_path / "copy.png"
    png.write_bytes(saved(drawn(seed=2), "PNG"))
    converted = replace(example, path=str(tmp_path / "scan.tiff"), source=str(png))
    assert read(converted) == png.read_bytes()
    png.unlink()
    with pytest.raises(UserError, match="that file is gone"), naming_changed([converted]):
        read(converted)
