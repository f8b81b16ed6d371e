"""Reads images a second time, and only as they were checked: other content would be taken for the checked one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from models.arrays import Tensor
from models.errors import UserError
from pipelines.images.readable import UnreadableImage, read_file
from pipelines.runs.examples import Example
from pipelines.system.text import one_line

HINT = "restore the image and type the same command again, or begin anew without it: computed features are kept"


def digest_of(example: Example) -> bytes:
    """SHA-256 of the file that is decoded; empty where that is headstart's own PNG of it, which has another content."""
    return bytes.fromhex(example.sha256) if example.source == example.path else b""


def read_unchanged(path: Tensor, digest: Tensor) -> Tensor:
    """Read a file inside a `tf.function` or tf.data, where strings reach Python as bytes.

    Args:
        path: scalar string.
        digest: scalar string, as of `digest_of`.

    Returns:
        Scalar string, the file's content.

    Raises:
        tf.errors.InvalidArgumentError: the content is another one.
        tf.errors.OpError: the file cannot be read.
    """
    content = tf.io.read_file(path)
    # TensorFlow has no cryptographic hash. hashlib's lets other threads run, and takes a tenth of the time of a decode.
    is_same = tf.numpy_function(_has_digest, [content, digest], tf.bool, stateful=False)
    with tf.control_dependencies([tf.debugging.Assert(is_same, ["changed since it was checked", path])]):
        return tf.identity(content)


@contextmanager
def naming_changed(examples: Iterable[Example]) -> Iterator[None]:
    """Turn TensorFlow's error about an image that changed since it was checked into one that names the image.

    Args:
        examples: the images that are read inside.

    Raises:
        UserError: an image changed, or is gone.
    """
    try:
        yield
    except tf.errors.OpError as error:
        for example in examples:
            if reason := change_of(example):
                raise UserError(f"`{one_line(example.path)}` {reason}", HINT) from error
        raise


def change_of(example: Example) -> str:
    """What happened to an image since it was checked, as a phrase without the path; empty where it is as it was."""
    if example.source != example.path:
        return "" if os.path.isfile(example.source) else "was converted for TensorFlow, and that file is gone"
    try:
        is_same = _has_digest(read_file(example.path), digest_of(example))
    except UnreadableImage as unreadable:
        return f"can no longer be read: {unreadable.reason}"
    return "" if is_same else "changed while it was in use"


def _has_digest(content: bytes, digest: bytes) -> np.bool_:
    return np.bool_(not digest or hashlib.sha256(content).digest() == digest)
