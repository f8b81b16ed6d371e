"""Expands files, folders and lists of paths into inputs of `predict`, one by one, and decodes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from pipelines.data.walk import walk
from pipelines.images.readable import MAX_PIXELS, UnreadableImage, read_file, readable_content
from pipelines.inference.prediction import Status
from pipelines.runs.square import Square

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.arrays import Tensor

STDIN = "-"
LIST_ENDINGS = (".txt", ".lst")
# What viewers and cameras call images, whether headstart reads them or not.
IMAGE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".heic", ".heif"}
    | {".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".tga", ".psd", ".svg", ".dcm"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"}
)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLOCK = 1 << 16  # bytes of a list that are read at once


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to predict.

    Attributes:
        path: as typed, or below the folder that was typed; bytes that are not UTF-8 as surrogates.
        reason: why it cannot be opened (a missing file, a folder that cannot be listed); None otherwise.
        is_in_folder: whether nobody named it: it lies in a folder that was typed, with whatever else is there.
    """

    path: str
    reason: str | None = None
    is_in_folder: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """An input turned into pixels.

    Attributes:
        path: of the input.
        status: `ok`, `unreadable`, or `not an image` of a file in a folder that neither is one nor is called one.
        reason: why it is unreadable, a phrase; empty when it is readable.
        pixels: (size, size, 3) float32 in [0, 255], upright RGB; None when unreadable.
    """

    path: str
    status: Status
    reason: str
    pixels: NDArray[np.float32] | None


def expand(paths: Iterable[str], stdin: BinaryIO | None = None) -> Iterator[Input]:
    """Yield the inputs that the paths stand for, in order, without holding them all.

    A file is one input, whatever its ending. A folder is every visible file below it, at any depth, in natural order;
    an empty one is one unreadable input, so that every argument has a row. A file that ends in `.txt` or `.lst` lists
    paths, and `-` is such a list on stdin: one path per line, or separated by zero bytes (as from `find -print0`),
    relative to the current folder, as if they had been typed. Lists do not nest.

    Args:
        paths: as typed.
        stdin: the stream of `-`; binary.
    """
    for path in paths:
        if path == STDIN and stdin is not None:
            yield from _expand_list(stdin)
        elif path.casefold().endswith(LIST_ENDINGS) and os.path.isfile(path):
            try:
                with open(path, "rb") as file:
                    yield from _expand_list(file)
            except OSError as error:
                yield Input(path, f"cannot be read: {error.strerror or type(error).__name__}")
        else:
            yield from _expand_path(path)


def load(source: Input, square: Square, max_pixels: int = MAX_PIXELS) -> Loaded:
    """Decode an input to pixels, as in training; a bad file raises nothing.

    Args:
        source: from `expand`.
        square: that it is made.
        max_pixels: a file whose header announces more is refused before it is decoded.
    """
    return load_with_content(source, square, max_pixels)[0]


def load_with_content(source: Input, square: Square, max_pixels: int = MAX_PIXELS) -> tuple[Loaded, bytes]:
    """`load`, and the bytes that were decoded: an image that TensorFlow reads; empty when it is unreadable."""
    if source.reason is not None:
        return Loaded(source.path, "unreadable", source.reason, None), b""
    try:
        content = readable_content(read_file(source.path), max_pixels)
    except UnreadableImage as unreadable:
        is_other = source.is_in_folder and not _is_called_image(source.path) and unreadable.is_other_content
        return Loaded(source.path, "not an image" if is_other else "unreadable", unreadable.reason, None), b""
    import tensorflow as tf

    return Loaded(source.path, "ok", "", _decoder(square)(tf.constant(content)).numpy()), content


@cache
def _decoder(square: Square) -> Callable[[Tensor], Tensor]:
    """The decoding of training for one square, as a graph: operation by operation it takes many times as long."""
    import tensorflow as tf

    from pipelines.images.decode import decode_resized

    def decode(content: Tensor) -> Tensor:
        return decode_resized(content, square.size, square.fit)

    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _is_called_image(path: str) -> bool:
    """Whether the ending of a name is one of images, readable ones or not."""
    return os.path.splitext(path)[1].casefold() in IMAGE_ENDINGS


def _expand_path(path: str) -> Iterator[Input]:
    if "\0" in path:
        yield Input(path, "the path contains a zero byte")
    elif os.path.isdir(path):
        yield from _expand_folder(path)
    elif os.path.lexists(path):
        yield Input(path)
    else:
        yield Input(path, "no such file")


def _expand_folder(folder: str) -> Iterator[Input]:
    unlistable: list[Input] = []

    def add_unlistable(path: str, error: OSError) -> None:
        unlistable.append(Input(path, f"the folder cannot be read: {error.strerror or type(error).__name__}"))

    is_empty = True
    for path, _ in walk(folder, ordered=True, on_error=add_unlistable):
        # Folders that failed on the way to this file come before it.
        yield from unlistable
        unlistable.clear()
        yield Input(path, is_in_folder=True)
        is_empty = False
    if is_empty and not unlistable:
        yield Input(folder, "no file in this folder")
    yield from unlistable


def _expand_list(stream: BinaryIO) -> Iterator[Input]:
    for name in _names(stream):
        yield from _expand_path(os.fsdecode(name))


def _names(stream: BinaryIO) -> Iterator[bytes]:
    """The paths of a list: separated by zero bytes if its first block has one, otherwise by line breaks."""
    read = getattr(stream, "read1", stream.read)  # returns what a pipe has so far, without waiting for a whole block
    buffer: bytes = read(BLOCK)
    while buffer and not (b"\0" in buffer or b"\n" in buffer):
        block = read(BLOCK)
        if not block:
            break
        buffer += block
    separator = b"\0" if b"\0" in buffer else b"\n"
    buffer = buffer.removeprefix(BYTE_ORDER_MARK)
    while True:
        *names, buffer = buffer.split(separator)
        for name in names:
            yield from _cleaned(name, separator)
        block = read(BLOCK)
        if not block:
            break
        buffer += block
    yield from _cleaned(buffer, separator)


def _cleaned(name: bytes, separator: bytes) -> Iterator[bytes]:
    """A name without the carriage return before a line break of Windows; nothing for an empty line."""
    name = name.removesuffix(b"\r") if separator == b"\n" else name
    if name:
        yield name
