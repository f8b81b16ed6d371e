"""What `predict` is given: files, folders, lists of paths; one input after the other, however many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pipelines.data.listing import walk
from pipelines.images.readable import MAX_PIXELS, UnreadableImage, read_file, readable_content

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Status = Literal["ok", "unreadable"]
STDIN = "-"
LIST_ENDINGS = (".txt", ".lst")
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to predict.

    Attributes:
        path: as the user typed it, or below the folder that the user typed; non-UTF-8 bytes as surrogates.
        reason: why there is nothing to open (a missing file, a folder that cannot be listed); None otherwise.
    """

    path: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """An input turned into pixels.

    Attributes:
        path: of the input.
        status: `ok`, or `unreadable`.
        reason: why it is unreadable, a phrase; empty when it is not.
        pixels: (size, size, 3) float32 in [0, 255], upright RGB; None when unreadable.
    """

    path: str
    status: Status
    reason: str
    pixels: NDArray[np.float32] | None


def expand(paths: Iterable[str], stdin: BinaryIO | None = None) -> Iterator[Input]:
    """Yield the inputs that the given paths stand for, in their order, without holding them all.

    A file is itself, whatever its ending. A folder is every visible file below it, at any depth, in natural order; an
    empty one is one unreadable input, so that no argument goes without an answer. A file that ends in `.txt` or
    `.lst` lists paths, and `-` is such a list on stdin: one path a line, or separated by zero bytes (as from `find
    -print0`), relative to the current folder, as if they had been typed. Lists do not nest.

    Args:
        paths: what the user typed.
        stdin: where `-` reads; binary.
    """
    for path in paths:
        if path == STDIN and stdin is not None:
            yield from _listed(stdin)
        elif path.casefold().endswith(LIST_ENDINGS) and os.path.isfile(path):
            try:
                with open(path, "rb") as file:
                    yield from _listed(file)
            except OSError as error:
                yield Input(path, f"cannot be read: {error.strerror or type(error).__name__}")
        else:
            yield from _one(path)


def load(given: Input, size: int, max_pixels: int = MAX_PIXELS) -> Loaded:
    """Turn an input into pixels by the decode that training used; nothing is raised for a bad file.

    Args:
        given: from `expand`.
        size: side of the square, pixels.
        max_pixels: a file whose header announces more is refused before it is decoded.
    """
    if given.reason is not None:
        return Loaded(given.path, "unreadable", given.reason, None)
    try:
        content = readable_content(read_file(given.path), max_pixels)
    except UnreadableImage as unreadable:
        return Loaded(given.path, "unreadable", unreadable.reason, None)
    import tensorflow as tf

    return Loaded(given.path, "ok", "", _decoder(size)(tf.constant(content)).numpy())


@cache
def _decoder(size: int) -> Callable[[Any], Any]:
    """The decode of training for one size, as a graph: operation by operation it takes many times as long."""
    import tensorflow as tf

    from pipelines.images.decode import decode_resized

    return tf.function(lambda content: decode_resized(content, size), input_signature=[tf.TensorSpec([], tf.string)])


def _one(path: str) -> Iterator[Input]:
    if "\0" in path:
        yield Input(path, "a zero byte is in the path")
    elif os.path.isdir(path):
        yield from _below(path)
    elif os.path.lexists(path):
        yield Input(path)
    else:
        yield Input(path, "there is no such file")


def _below(folder: str) -> Iterator[Input]:
    failed: list[Input] = []

    def remember(path: str, error: OSError) -> None:
        failed.append(Input(path, f"the folder cannot be read: {error.strerror or type(error).__name__}"))

    empty = True
    for path, _ in walk(folder, ordered=True, unlistable=remember):
        # Folders that failed on the way to this file come before it.
        yield from failed
        failed.clear()
        yield Input(path)
        empty = False
    if empty and not failed:
        yield Input(folder, "there is no file in this folder")
    yield from failed


def _listed(stream: BinaryIO) -> Iterator[Input]:
    for name in _names(stream):
        yield from _one(os.fsdecode(name))


def _names(stream: BinaryIO) -> Iterator[bytes]:
    """The paths of a list; the first block tells by a zero byte what separates them."""
    read = getattr(stream, "read1", stream.read)  # what a pipe has so far, without waiting for a whole block
    waiting: bytes = read(_BLOCK)
    while waiting and not (b"\0" in waiting or b"\n" in waiting):
        more = read(_BLOCK)
        if not more:
            break
        waiting += more
    separator = b"\0" if b"\0" in waiting else b"\n"
    waiting = waiting.removeprefix(b"\xef\xbb\xbf")  # a byte order mark is no part of the first name
    while True:
        *whole, waiting = waiting.split(separator)
        for name in whole:
            yield from _cleaned(name, separator)
        block = read(_BLOCK)
        if not block:
            break
        waiting += block
    yield from _cleaned(waiting, separator)


def _cleaned(name: bytes, separator: bytes) -> Iterator[bytes]:
    """A name without the carriage return that Windows puts before a newline; nothing for an empty line."""
    name = name.removesuffix(b"\r") if separator == b"\n" else name
    if name:
        yield name
