"""Reads the orientation of an image from EXIF or XMP and turns the image upright, in operations that can be exported.

JPEG keeps EXIF in an APP1 segment, PNG in an eXIf chunk, WebP in an EXIF chunk; in each it is a small TIFF file. XMP
is XML in another APP1 segment, an iTXt chunk or an XMP chunk. Nothing here raises: malformed metadata counts as
upright.

Sources: JEITA CP-3451 (EXIF 2.32), ITU-T T.81 annex B (JPEG), PNG third edition, RFC 9649 (WebP), TIFF 6.0,
Adobe XMP specification part 3 (where files keep it).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from models.arrays import Tensor

ORIENTATION_TAG = 0x0112
SHORT, LONG = 3, 4
# More than any camera writes. An image whose EXIF comes later counts as upright.
MAX_ENTRIES = 192
MAX_SEGMENTS = 256
# The longest beginning of a segment that is compared: APP1, its length, and the name of XMP's namespace.
HEAD = 33
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\x00"
# The word and what may stand between it and the digit: `tiff:Orientation="6"` or `<tiff:Orientation>6`.
XMP_WORD = "tiff:Orientation"
# Start and length of EXIF in the file, int64; (0, 0) for none.
Place = tuple[Tensor, Tensor]
# (`HEAD` bytes of a segment, its offset) -> (offset of the next segment or -1, place of EXIF, whether it is XMP)
SegmentReader = Callable[[Tensor, Tensor], tuple[Tensor, Place, Tensor]]


def orientation(image_bytes: Tensor) -> Tensor:
    """Read the orientation of an encoded image: that of EXIF, or that of XMP where EXIF gives none.

    Args:
        image_bytes: scalar string, the content of a file of any kind.

    Returns:
        Scalar int64 from 1 to 8, as EXIF numbers them; 1 (upright) where the file has no valid orientation. Compressed
        XMP, ImageMagick's raw profiles and what follows the pixels of a PNG are not read; `readable_bytes` makes an
        upright PNG of such a file.
    """
    head = peek(image_bytes, 0, 16)
    is_webp = matches(head[:4], b"RIFF") & matches(head[8:12], b"WEBP")
    signatures = [matches(head[:3], b"\xff\xd8\xff"), matches(head[:8], b"\x89PNG\r\n\x1a\n"), is_webp]
    kind = tf.reduce_sum(tf.where(tf.stack(signatures), [1, 2, 3], 0))
    branches = [
        lambda: tf.constant(1, tf.int64),
        lambda: _find(image_bytes, 2, _jpeg_segment),
        _rarely(lambda: _find(image_bytes, 8, _png_chunk)),
        _rarely(lambda: _find(image_bytes, 12, _webp_chunk)),
    ]
    code = tf.switch_case(kind, branches)
    return tf.where((code >= 1) & (code <= 8), code, tf.constant(1, tf.int64))


def turn_upright(image: Tensor, code: Tensor) -> Tensor:
    """Turn an image upright.

    Args:
        image: (height, width, channels).
        code: its EXIF orientation, scalar int64 from 1 to 8.

    Returns:
        (height, width, channels), or (width, height, channels) where `code` is 5 or more.
    """

    def turned() -> Tensor:
        result = tf.cond(code >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        result = tf.cond(_is_among(code, 2, 3, 6, 7), lambda: tf.reverse(result, [1]), lambda: result)
        return tf.cond(_is_among(code, 3, 4, 7, 8), lambda: tf.reverse(result, [0]), lambda: result)

    return tf.cond(code == 1, lambda: image, turned)


def _find(image_bytes: Tensor, first: int, read_segment: SegmentReader) -> Tensor:
    """The orientation in the segments from offset `first` on, or a number that is none."""
    at, exif, xmp_at = _walk(image_bytes, tf.constant(first, tf.int64), read_segment, stops_at_exif=True)
    code = tf.cond(exif[1] > 0, lambda: _read_tiff(_piece(image_bytes, *exif)), lambda: tf.constant(-1, tf.int64))

    def from_xmp() -> Tensor:
        # XMP may also come behind EXIF that has no orientation.
        later = _walk(image_bytes, at, read_segment, stops_at_exif=False)[2]
        start = tf.maximum(later, xmp_at)
        following, _, is_xmp = read_segment(peek(image_bytes, start, HEAD), start)
        return tf.cond(is_xmp, lambda: _read_xmp(_piece(image_bytes, start, following - start)), lambda: code)

    return tf.cond((code == -1) & ((at >= 0) | (xmp_at > 0)), _rarely(from_xmp), lambda: code)


def _rarely(branch: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A branch that the graph calls where it is taken.

    Of a branch that TensorFlow inlines, every operation is passed over where another one is taken, which made the
    orientation of a JPEG take a third longer.
    """
    called: Callable[[], Tensor] = tf.function(branch, experimental_attributes={"_noinline": True})
    return called


def _walk(
    image_bytes: Tensor, first: Tensor, read_segment: SegmentReader, *, stops_at_exif: bool
) -> tuple[Tensor, Place, Tensor]:
    """Walk the segments from offset `first` until the pixels.

    Returns:
        The offset reached or -1, the place of EXIF, and the offset of the last XMP (Pillow takes the last too) or 0.
    """
    size = tf.strings.length(image_bytes)

    def is_unfinished(at: Tensor, exif: Place, xmp_at: Tensor) -> Tensor:
        return (at >= 0) & (at < tf.cast(size, tf.int64)) & (exif[1] == 0 if stops_at_exif else True)

    def step(at: Tensor, exif: Place, xmp_at: Tensor) -> tuple[Tensor, Place, Tensor]:
        following, exif, is_xmp = read_segment(peek(image_bytes, at, HEAD), at)
        return following, exif, tf.where(is_xmp, at, xmp_at)

    begin = (first, _nowhere(), tf.constant(0, tf.int64))
    reached: tuple[Tensor, Place, Tensor] = tf.while_loop(
        is_unfinished, step, begin, maximum_iterations=MAX_SEGMENTS, parallel_iterations=1
    )
    return reached


def _jpeg_segment(head: Tensor, at: Tensor) -> tuple[Tensor, Place, Tensor]:
    """One JPEG segment: (offset of the next or -1, place of EXIF, whether it is XMP)."""
    marker, length = head[1], head[2] * 256 + head[3]
    is_filling = (head[0] == 0xFF) & (marker == 0xFF)
    # The pixels follow SOF. 0xC4, 0xC8 and 0xCC lie in the same range but are tables.
    is_frame = (marker >= 0xC0) & (marker <= 0xCF) & ~_is_among(marker, 0xC4, 0xC8, 0xCC)
    is_end = (head[0] != 0xFF) | is_frame | _is_among(marker, 0xDA, 0xD9, 0x00) | (length < 2)
    is_app1 = (marker == 0xE1) & ~is_end
    is_exif = is_app1 & matches(head[4:10], b"Exif\x00\x00") & (length > 8)
    is_xmp = is_app1 & matches(head[4:33], XMP_NAME)
    following = tf.where(is_filling, at + 1, tf.where(is_end, tf.constant(-1, tf.int64), at + 2 + length))
    return following, _place_if(is_exif, at + 10, length - 8), is_xmp


def _png_chunk(head: Tensor, at: Tensor) -> tuple[Tensor, Place, Tensor]:
    """One PNG chunk, as `_jpeg_segment`."""
    length = _integer(head[:4], is_little=tf.constant(False))
    is_exif = matches(head[4:8], b"eXIf")
    is_xmp = matches(head[4:26], b"iTXtXML:com.adobe.xmp\x00")
    is_end = matches(head[4:8], b"IDAT") | matches(head[4:8], b"IEND")
    following = tf.where(is_end, tf.constant(-1, tf.int64), at + 12 + length)
    return following, _place_if(is_exif, at + 8, length), is_xmp


def _webp_chunk(head: Tensor, at: Tensor) -> tuple[Tensor, Place, Tensor]:
    """One WebP chunk, as `_jpeg_segment`."""
    length = _integer(head[4:8], is_little=tf.constant(True))
    # Only the extended format (VP8X) has EXIF and XMP, where a bit of its flags is set: 8 and 4.
    is_end = (at == 12) & ~(matches(head[:4], b"VP8X") & (head[8] // 4 % 4 > 0))
    is_exif, is_xmp = matches(head[:4], b"EXIF"), matches(head[:4], b"XMP ")
    # Some writers repeat JPEG's preamble before the TIFF file.
    skip = tf.where(matches(head[8:14], b"Exif\x00\x00"), tf.constant(6, tf.int64), tf.constant(0, tf.int64))
    following = tf.where(is_end, tf.constant(-1, tf.int64), at + 8 + length + length % 2)
    return following, _place_if(is_exif, at + 8 + skip, length - skip), is_xmp


def _read_tiff(tiff: Tensor) -> Tensor:
    """The orientation in the first directory of a TIFF file, of either byte order; -1 where it has none."""
    head = peek(tiff, 0, 8)
    is_little = matches(head[:4], b"II\x2a\x00")
    is_valid = is_little | matches(head[:4], b"MM\x00\x2a")
    at = _integer(head[4:8], is_little)
    count = _integer(peek(tiff, at, 2), is_little)
    entries = tf.reshape(peek(tiff, at + 2, 12 * MAX_ENTRIES), [MAX_ENTRIES, 12])
    tags, types = _integer(entries[:, 0:2], is_little), _integer(entries[:, 2:4], is_little)
    values = tf.where(types == LONG, _integer(entries[:, 8:12], is_little), _integer(entries[:, 8:10], is_little))
    numbers = tf.range(MAX_ENTRIES, dtype=tf.int64)
    is_orientation = (tags == ORIENTATION_TAG) & ((types == SHORT) | (types == LONG)) & (numbers < count)
    return tf.reduce_max(tf.where(is_orientation & is_valid, values, -1))


def _read_xmp(xmp: Tensor) -> Tensor:
    """The first orientation in XMP, an attribute or an element; -1 where it has none."""
    following = tf.strings.split(xmp, XMP_WORD)[1:]
    first, second, third = tf.unstack(tf.cast(tf.io.decode_raw(following, tf.uint8, fixed_length=3), tf.int64), axis=1)
    is_attribute = (first == ord("=")) & (second == ord('"'))
    digits = tf.where(is_attribute, third, tf.where(first == ord(">"), second, 0)) - ord("0")
    codes = tf.boolean_mask(digits, (digits >= 0) & (digits <= 9))
    return tf.concat([codes, [-1]], 0)[0]


def _integer(values: Tensor, is_little: Tensor) -> Tensor:
    """Unsigned integers from bytes (..., width) held as int64, in little- or big-endian order."""
    width = values.shape[-1]
    powers = tf.constant([256**place for place in range(width)], tf.int64)
    return tf.reduce_sum(values * tf.where(is_little, powers, powers[::-1]), axis=-1)


def peek(data: Tensor, at: Tensor | int, width: int) -> Tensor:
    """`width` bytes of a scalar string from offset `at` as int64 (width,); zeros behind its end."""
    piece = _piece(data, tf.convert_to_tensor(at, tf.int64), tf.constant(width, tf.int64))
    return tf.reshape(tf.cast(tf.io.decode_raw(piece, tf.uint8, fixed_length=width), tf.int64), [width])


def _piece(data: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """The part of a scalar string from `start`, cut off where the string ends (as `substr` does by itself)."""
    size = tf.cast(tf.strings.length(data), tf.int64)
    return tf.strings.substr(data, tf.clip_by_value(start, 0, size), length)


def matches(values: Tensor, expected: bytes) -> Tensor:
    """Whether bytes, as `peek` gives them, are the expected ones."""
    return tf.reduce_all(values == tf.constant(list(expected), tf.int64))


def _is_among(value: Tensor, *choices: int) -> Tensor:
    return tf.reduce_any(value == tf.constant(choices, tf.int64))


def _place_if(is_exif: Tensor, start: Tensor, length: Tensor) -> Place:
    """(start, length) of EXIF, or (0, 0)."""
    zero = tf.constant(0, tf.int64)
    return tf.where(is_exif, start, zero), tf.where(is_exif, tf.maximum(length, zero), zero)


def _nowhere() -> Place:
    return tf.constant(0, tf.int64), tf.constant(0, tf.int64)
