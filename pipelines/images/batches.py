"""Examples to tf.data batches of pixels: read, decoded, resized and augmented in parallel, no Python in the loop."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.machine import count_cores
from pipelines.images.augment import Augmenter, Mixer
from pipelines.images.decode import decode_resized
from pipelines.images.stateless_layers import fold
from pipelines.runs.examples import Example

Batches = Any  # tf.data.Dataset; TensorFlow carries no types
# Batches decoded ahead while the model works on one.
AHEAD = 2


def view_batches(
    entries: Sequence[tuple[Example, int]],
    *,
    size: int,
    batch: int,
    augmenter: Augmenter | None = None,
    seed: int = 0,
) -> Batches:
    """Batches of chosen views of images, in the order given.

    Args:
        entries: examples, each with the number of the view; view 0 is the clean image.
        size: side of the square images, pixels.
        batch: images a batch; the last may hold fewer.
        augmenter: makes the views; needed where there are others than 0.
        seed: of the views.

    Returns:
        A tf.data dataset of pixels float32 (batch, size, size, 3) in [0, 255].
    """
    if augmenter is None and any(view for _, view in entries):
        raise ValueError("views other than 0 need an augmenter")
    examples = [example for example, _ in entries]
    views = np.asarray([view for _, view in entries], np.int32)
    images = _images(examples, views, size, augmenter, seed)
    return ahead(images.batch(batch))


def pixel_batches(
    examples: Sequence[Example],
    *,
    size: int,
    batch: int,
    augmenter: Augmenter | None = None,
    shuffle: bool = False,
    epoch: int = 0,
    seed: int = 0,
    class_weights: NDArray[np.float32] | None = None,
    num_classes: int | None = None,
    mixer: Mixer | None = None,
) -> Batches:
    """Batches of pixels and labels for one pass over the examples.

    The same arguments give the same batches, so that a killed training goes on as it would have.

    Args:
        examples: the images.
        size: side of the square images, pixels.
        batch: images a batch; the last may hold fewer.
        augmenter: makes fresh views in every epoch; None for clean images.
        shuffle: draw an order of its own for every epoch; else they come in the order given.
        epoch: number of the pass.
        seed: of order and views.
        class_weights: (classes,) weight of each class in the loss; None for none.
        num_classes: give labels one-hot, float32 (batch, classes), not as int32 (batch,).
        mixer: mixes the images of a batch and their labels; needs `num_classes`.

    Returns:
        A tf.data dataset of (pixels, labels), or (pixels, labels, weights) with `class_weights`. Pixels are float32
        (batch, size, size, 3) in [0, 255], weights float32 (batch,).
    """
    if mixer is not None and num_classes is None:
        raise ValueError("mixed images need one-hot labels")
    order = np.random.default_rng([seed, epoch]).permutation(len(examples)) if shuffle else range(len(examples))
    ordered = [examples[number] for number in order]
    # View 0 is the clean image.
    views = np.full(len(ordered), epoch + 1 if augmenter else 0, np.int32)
    labels = np.asarray([example.label for example in ordered], np.int32)
    columns: list[Any] = [_images(ordered, views, size, augmenter, seed)]
    if num_classes is None:
        columns.append(tf.data.Dataset.from_tensor_slices(labels))
    else:
        columns.append(tf.data.Dataset.from_tensor_slices(labels).map(lambda each: tf.one_hot(each, num_classes)))
    if class_weights is not None:
        columns.append(tf.data.Dataset.from_tensor_slices(np.asarray(class_weights, np.float32)[labels]))
    batches = tf.data.Dataset.zip(tuple(columns)).batch(batch)
    if mixer is not None:
        batches = _mixed(batches, mixer, seed, epoch)
    return ahead(batches)


def ahead(batches: Batches) -> Batches:
    """Have the next batches made while the model works on one.

    Without tf.data's tuner: its thread sleeps twice as long each time, up to a minute, and an iterator that has come to
    its end waits for it. Passes of 100 s took 142 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)


def _images(
    examples: Sequence[Example], views: NDArray[np.int32], size: int, augmenter: Augmenter | None, seed: int
) -> Batches:
    """Unbatched pixels in order."""
    # Paths as bytes: a name need not be UTF-8.
    paths = tf.constant([os.fsencode(example.source) for example in examples], tf.string, [len(examples)])
    columns: tuple[Any, ...] = (paths,)
    if augmenter is not None:
        columns = (paths, _seeds(examples), views)

    source = tf.data.Dataset.from_tensor_slices(columns)
    return source.map(_loader(size, augmenter, seed), num_parallel_calls=count_cores(), deterministic=True)


@lru_cache(maxsize=16)
def _loader(size: int, augmenter: Augmenter | None, seed: int) -> Any:
    """What turns one path into pixels, traced once: tracing takes half a second, too long for every epoch."""

    def load(path: Any, content: Any = None, view: Any = None) -> Any:
        image = decode_resized(tf.io.read_file(path), size)
        if augmenter is None:
            return image
        return augmenter(image, fold(content, seed & 0x7FFFFFFF), view)

    return tf.function(load)


def _seeds(examples: Sequence[Example]) -> NDArray[np.int32]:
    """(examples, 2) from the content: the same image has the same views wherever it lies."""
    starts = b"".join(bytes.fromhex(example.sha256[:16]) for example in examples)
    return np.frombuffer(starts, np.dtype("<i4")).reshape(-1, 2).astype(np.int32)


def _mixed(batches: Batches, mixer: Mixer, seed: int, epoch: int) -> Batches:
    key = tf.constant([seed & 0x7FFFFFFF, epoch], tf.int32)

    def mix(number: Any, columns: Any) -> Any:
        images, labels = mixer(columns[0], columns[1], fold(key, number))
        return (images, labels, *columns[2:])

    return batches.enumerate().map(mix, num_parallel_calls=count_cores(), deterministic=True)
