"""Every kind of file that a folder may hold: read as Pillow reads it, or refused with a reason."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.images.decode import decode
from pipelines.images.readable import UnreadableImage, readable_bytes, readable_content
from tests.pipelines.pictures import drawn, exif, pillow_pixels, placed, saved, xmp

PASSED = {
    "jpeg": saved(drawn(), "JPEG"),
    "jpeg cmyk": saved(drawn().convert("CMYK"), "JPEG"),
    "png": saved(drawn(), "PNG"),
    "png 16": saved(Image.fromarray(np.full((5, 7), 40_000, np.uint16)), "PNG"),
    "gif": saved(drawn(), "GIF"),
    "webp alpha": saved(drawn().convert("RGBA"), "WEBP", lossless=True),
    "bmp": saved(drawn(), "BMP"),
}
TRANSCODED = {
    "tiff": saved(drawn(), "TIFF"),
    "tiff lzw": saved(drawn(), "TIFF", compression="tiff_lzw"),
    "tiff cmyk": saved(drawn().convert("CMYK"), "TIFF"),
    "tiff grey": saved(drawn().convert("L"), "TIFF"),
    "tiff palette": saved(drawn().quantize(9), "TIFF"),
    "tiff 1 bit": saved(drawn().convert("1"), "TIFF"),
    "tiff alpha": saved(drawn().convert("RGBA"), "TIFF"),
    "tiff pages": saved(drawn(), "TIFF", save_all=True, append_images=[drawn(seed=5)]),
    "tiff turned": saved(drawn(), "TIFF", tiffinfo={0x0112: 6}),
    "tiff turned by XMP": saved(drawn(), "TIFF", tiffinfo={700: xmp(6)}),
    "bmp palette": saved(drawn().quantize(9), "BMP"),
    "bmp grey": saved(drawn().convert("L"), "BMP"),
    "bmp 1 bit": saved(drawn().convert("1"), "BMP"),
    "bmp 32 bit": saved(drawn().convert("RGBA"), "BMP"),
    "webp animated": saved(drawn(), "WEBP", lossless=True, save_all=True, append_images=[drawn(seed=1)]),
    "webp animated and turned": saved(
        drawn(), "WEBP", lossless=True, save_all=True, append_images=[drawn(seed=1)], exif=b"Exif\0\0" + exif(5)
    ),
    "jpeg 2000": saved(drawn(), "JPEG2000"),
}


def _file(folder: Path, data: bytes, name: bytes = b"picture.jpg") -> str:
    path = os.path.join(os.fsencode(folder), name)
    with open(path, "wb") as stream:
        stream.write(data)
    return os.fsdecode(path)


@pytest.mark.parametrize("name", PASSED)
def test_formats_that_tensorflow_reads_are_passed_through(name: str, tmp_path: Path) -> None:
    assert readable_bytes(_file(tmp_path, PASSED[name])) == PASSED[name]


@pytest.mark.parametrize("name", TRANSCODED)
def test_other_formats_become_png(name: str, tmp_path: Path) -> None:
    data = readable_bytes(_file(tmp_path, TRANSCODED[name]))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(decode(data).numpy(), pillow_pixels(TRANSCODED[name]))


CANVASES = {
    "full": ((97, 61), (0, 0)),
    "offset": ((120, 90), (15, 9)),
    "at the corner": ((120, 90), (0, 0)),
    "beyond the canvas": ((50, 40), (0, 0)),
    "beyond the canvas and offset": ((50, 40), (10, 5)),
}


@pytest.mark.parametrize("has_local_palette", [False, True])
@pytest.mark.parametrize("options", [{}, {"transparency": 3}, {"transparency": 0, "disposal": 2}, {"disposal": 3}])
@pytest.mark.parametrize("canvas", CANVASES)
def test_a_gif_is_as_pillow_shows_it(canvas: str, options: dict[str, int], has_local_palette: bool) -> None:
    frame = saved(drawn().quantize(8), "GIF", optimize=False, **options)
    data = placed(frame, *CANVASES[canvas], has_local_palette=has_local_palette)
    pixels = decode(readable_content(data)).numpy()
    np.testing.assert_array_equal(pixels, pillow_pixels(data))


@pytest.mark.parametrize("first", [{}, {"transparency": 2, "disposal": 2}])
def test_the_first_frame_of_an_animation_is_as_pillow_shows_it(first: dict[str, int]) -> None:
    later = [drawn(seed=seed).quantize(8) for seed in (1, 2)]
    data = saved(drawn().quantize(8), "GIF", save_all=True, append_images=later, optimize=False, **first)
    np.testing.assert_array_equal(decode(readable_content(data)).numpy(), pillow_pixels(data))


def _raw_profile(code: int) -> str:
    """EXIF as ImageMagick writes it into text."""
    tiff = b"Exif\0\0" + exif(code)
    return f"\nexif\n{len(tiff):8}\n{tiff.hex()}\n"


def _png(place: str, code: int) -> bytes:
    """A PNG that keeps its orientation in a place."""
    info = PngInfo()
    if place == "EXIF":
        return saved(drawn(), "PNG", exif=exif(code))
    if place.startswith("raw profile"):
        info.add_text("Raw profile type exif", _raw_profile(code), zip="compressed" in place)
    elif "behind" not in place:
        info.add_itxt("XML:com.adobe.xmp", xmp(code).decode(), zip="compressed" in place)
    data = saved(drawn(), "PNG", pnginfo=info)
    if "behind" not in place:
        return data
    chunk = b"eXIf" + exif(code) if place.startswith("EXIF") else b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp(code)
    behind = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    # The last 12 bytes are the chunk IEND.
    return data[:-12] + behind + data[-12:]


PLACES = (
    "EXIF",
    "EXIF behind the pixels",
    "XMP",
    "XMP compressed",
    "XMP behind the pixels",
    "raw profile",
    "raw profile compressed",
)


@pytest.mark.parametrize("code", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("place", PLACES)
def test_a_png_is_turned_wherever_its_orientation_is(place: str, code: int) -> None:
    data = _png(place, code)
    readable = readable_content(data)
    pixels = decode(readable).numpy()
    assert pixels.shape == ((61, 97, 3) if code < 5 else (97, 61, 3))
    np.testing.assert_array_equal(pixels, pillow_pixels(data))
    assert readable is data or code > 1


@pytest.mark.parametrize("text", ["", "\nexif\n 3\nxyz\n", "\nexif\n 4\n00000000\n"])
def test_a_malformed_raw_profile_counts_as_upright(text: str) -> None:
    info = PngInfo()
    info.add_text("Raw profile type exif", text)
    data = saved(drawn(), "PNG", pnginfo=info)
    assert readable_content(data) is data


@pytest.mark.parametrize("byte_order", ["<u2", ">u2"])
def test_sixteen_bit_tiff_is_scaled_not_clipped(byte_order: str, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 61 * 97).reshape(61, 97).astype(np.uint16)
    if byte_order == "<u2":
        data = saved(Image.fromarray(values), "TIFF")
    else:
        data = saved(Image.frombytes("I;16B", (97, 61), values.astype(byte_order).tobytes()), "TIFF")
    pixels = decode(readable_bytes(_file(tmp_path, data))).numpy()
    np.testing.assert_allclose(pixels[..., 1], values / 257, atol=1)


def test_bmp_from_bottom_and_from_top(tmp_path: Path) -> None:
    data = bytearray(saved(drawn(), "BMP"))
    expected = pillow_pixels(bytes(data))
    np.testing.assert_array_equal(decode(readable_bytes(_file(tmp_path, bytes(data)))).numpy(), expected)
    data[22:26] = (-61).to_bytes(4, "little", signed=True)
    np.testing.assert_array_equal(decode(readable_bytes(_file(tmp_path, bytes(data)))).numpy(), expected[::-1])


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    assert readable_bytes(_file(tmp_path, PASSED["png"], b"caf\xe9.png")) == PASSED["png"]


UNREADABLE = {
    "empty": (b"", "empty"),
    "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "text": (b"the quick brown fox\n" * 9, "text"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    "noise": (bytes(np.random.default_rng(0).integers(0, 256, 999, np.uint8)), "not an image"),
    "jpeg cut in the pixels": (saved(drawn(300, 200), "JPEG")[:4000], "damaged"),
    "jpeg cut in the header": (saved(drawn(), "JPEG")[:30], ""),
    "png cut": (saved(drawn(300, 200), "PNG")[:1200], "damaged"),
    "webp cut": (saved(drawn(300, 200), "WEBP")[:900], ""),
    "gif cut": (saved(drawn(300, 200), "GIF")[:2000], "damaged"),
    "tiff cut": (saved(drawn(300, 200), "TIFF")[:3000], ""),
    "tiff of floats": (saved(Image.fromarray(np.ones((5, 5), np.float32)), "TIFF"), "32 bits a channel"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_not_an_image_says_why(name: str, tmp_path: Path) -> None:
    data, reason = UNREADABLE[name]
    with pytest.raises(UnreadableImage) as caught:
        readable_bytes(_file(tmp_path, data))
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF", "JPEG"])
def test_a_bomb_is_refused_by_its_header(form: str, tmp_path: Path) -> None:
    path = _file(tmp_path, saved(drawn(), form))
    with pytest.raises(UnreadableImage, match="97 x 61 pixels are more than the limit"):
        readable_bytes(path, max_pixels=97 * 61 - 1)
    readable_bytes(path, max_pixels=97 * 61)


def test_a_real_bomb_is_not_decoded(tmp_path: Path) -> None:
    data = bytearray(saved(Image.new("L", (8, 8)), "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(UnreadableImage, match="60000 x 60000"):
        readable_bytes(_file(tmp_path, bytes(data)))


def test_missing_and_forbidden_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="no such file"):
        readable_bytes(str(tmp_path / "none.png"))
    with pytest.raises(UnreadableImage, match="directory"):
        readable_bytes(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImage, match="regular file"):
        readable_bytes(str(tmp_path / "pipe.png"))


def test_a_file_beyond_any_image_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.images.readable.MAX_BYTES", 20)
    with pytest.raises(UnreadableImage, match="more than any image"):
        readable_bytes(_file(tmp_path, PASSED["png"]))
