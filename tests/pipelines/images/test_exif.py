"""The EXIF orientation: read from every place that formats keep it in, and never an error."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from pipelines.images.decode import decode
from pipelines.images.exif import orientation, turn_upright
from tests.pipelines.pictures import drawn, exif, saved

in_graph = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
which_way = tf.function(orientation, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize(
    ("form", "little", "code"), list(itertools.product(("JPEG", "PNG", "WEBP"), (True, False), range(1, 9)))
)
def test_orientation_is_read(form: str, little: bool, code: int) -> None:
    prefix = b"" if form == "PNG" else b"Exif\0\0"
    data = saved(drawn(), form, exif=prefix + exif(code, little))
    assert int(which_way(data)) == code == Image.open(io.BytesIO(data)).getexif()[0x0112]


@pytest.mark.parametrize("code", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it(code: int) -> None:
    image = drawn()
    pixels = np.asarray(image)
    image.getexif()[0x0112] = code
    expected = np.asarray(ImageOps.exif_transpose(image))
    turned = turn_upright(tf.constant(pixels), tf.constant(code, tf.int64))
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_without_orientation_an_image_is_upright(form: str) -> None:
    assert int(which_way(saved(drawn(), form))) == 1


def test_only_entries_that_the_directory_counts_are_read() -> None:
    # The count says one entry; the orientation is the second.
    tiff = exif(6)
    short = tiff[:8] + (1).to_bytes(2, "little") + tiff[10:]
    assert int(which_way(saved(drawn(), "JPEG", exif=b"Exif\0\0" + short))) == 1


def test_webp_exif_without_preamble() -> None:
    data = saved(drawn(), "WEBP", lossless=True, exif=b"Exif\0\0" + exif(6))
    bare = data.replace(b"Exif\0\0II", b"II")
    at = bare.index(b"EXIF") + 4
    length = int.from_bytes(bare[at : at + 4], "little") - 6
    bare = bare[:at] + length.to_bytes(4, "little") + bare[at + 4 :]
    assert int(which_way(bare)) == 6


def test_jpeg_exif_behind_other_segments() -> None:
    data = saved(drawn(), "JPEG", exif=b"Exif\0\0" + exif(8), comment=b"x" * 300)
    start = data.index(b"\xff\xe1")
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x/>"
    other = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    filling = b"\xff\xff"
    moved = data[:start] + b"\xff\xfe\x00\x05Hey" + other + filling + data[start:]
    assert int(which_way(moved)) == 8


def test_orientation_as_long() -> None:
    body = exif(3, little=False).replace(b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x03\x00\x00", b"")
    long = b"\x01\x12\x00\x04\x00\x00\x00\x01\x00\x00\x00\x03"
    data = saved(drawn(), "JPEG", exif=b"Exif\0\0" + body[:-4] + long + body[-4:])
    assert int(which_way(data)) == 3


MALFORMED = {
    "code 0": exif(0),
    "code 9": exif(9),
    "no byte order": b"XX" + exif(6)[2:],
    "mixed byte order": b"MM" + exif(6)[2:],
    "directory beyond the end": exif(6)[:4] + (10**6).to_bytes(4, "little") + exif(6)[8:],
    "directory far beyond": exif(6)[:4] + b"\xff\xff\xff\xff" + exif(6)[8:],
    "no entries": exif(6)[:8] + b"\0\0" + exif(6)[10:],
    "cut off in the header": exif(6)[:6],
    "cut off in the entry": exif(6)[:30],
    "one byte": b"I",
    "nothing": b"",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exif_counts_as_upright(name: str) -> None:
    data = saved(drawn(), "JPEG", exif=b"Exif\0\0" + MALFORMED[name])
    assert int(which_way(data)) == 1
    assert in_graph(data).shape == (61, 97, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_orientation_never_raises(form: str) -> None:
    prefix = b"" if form == "PNG" else b"Exif\0\0"
    data = saved(drawn(), form, exif=prefix + exif(6))
    random = np.random.default_rng(0)
    for cut in [*range(64), 100, 200, len(data) - 1]:
        assert 1 <= int(which_way(data[:cut])) <= 8
    for _ in range(60):
        noisy = bytearray(data)
        for place in random.integers(3, min(len(data), 120), 4):
            noisy[place] = random.integers(0, 256)
        assert 1 <= int(which_way(bytes(noisy))) <= 8
