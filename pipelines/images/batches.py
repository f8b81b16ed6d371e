"""Turns examples into tf.data batches of pixels: read, decoded, resized and augmented in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.arrays import Tensor, Weights
from models.machine import count_cores
from pipelines.images.augment import Augmenter
from pipelines.images.decode import decode_resized
from pipelines.images.mixing import Mixer
from pipelines.images.stateless_layers import fold_in
from pipelines.images.unchanged import digest_of, read_unchanged
from pipelines.runs.examples import Example
from pipelines.runs.square import Square

Item = TypeVar("Item")
Batches: TypeAlias = Any  # a tf.data.Dataset, for the same reason
# (examples,) number of the view of each example; 0 is the clean image.
ViewNumbers: TypeAlias = NDArray[np.int32]
# (examples, 2) seed of each image's views.
Seeds: TypeAlias = NDArray[np.int32]
# Batches decoded ahead while the model works on one.
AHEAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What is drawn anew in each pass over the training images.

    Attributes:
        epoch: number of the pass, from 0.
        seed: of the order, the views and the mixtures.
        shuffle: draw an order for each epoch; False keeps the order given.
        augmenter: makes fresh views in every epoch; None for clean images.
        mixer: mixes the images of a batch and their labels; None for none.
    """

    epoch: int = 0
    seed: int = 0
    shuffle: bool = False
    augmenter: Augmenter | None = None
    mixer: Mixer | None = None


def view_batches(
    entries: Sequence[tuple[Example, int]],
    *,
    square: Square,
    batch: int,
    augmenter: Augmenter | None = None,
    seed: int = 0,
) -> Batches:
    """Batches of chosen views of images, in the order given.

    Args:
        entries: examples, each with the number of the view; view 0 is the clean image.
        square: that each image is made.
        batch: images a batch; the last may hold fewer.
        augmenter: makes the views; needed where there are others than 0.
        seed: of the views.

    Returns:
        A tf.data dataset of pixels float32 (batch, size, size, 3) in [0, 255].

    Raises:
        ValueError: views other than 0 are asked for without an augmenter.
    """
    if augmenter is None and any(view for _, view in entries):
        raise ValueError("views other than 0 need an augmenter")
    examples = [example for example, _ in entries]
    views = np.asarray([view for _, view in entries], np.int32)
    images = _images(examples, views, square, augmenter, seed)
    return ahead(images.batch(batch))


def pixel_batches(
    examples: Sequence[Example],
    *,
    square: Square,
    batch: int,
    draws: Draws | None = None,
    class_weights: Weights | None = None,
    num_classes: int | None = None,
) -> Batches:
    """Batches of pixels and labels for one pass over the examples.

    The same arguments give the same batches, so that a resumed training continues as it would have.

    Args:
        examples: the images.
        square: that each image is made.
        batch: images a batch; the last may hold fewer.
        draws: what a pass of a training draws; None for clean images in the order given.
        class_weights: (classes,) weight of each class in the loss; None for none.
        num_classes: give labels one-hot, float32 (batch, classes), not as int32 (batch,).

    Returns:
        A tf.data dataset of (pixels, labels), or (pixels, labels, weights) with `class_weights`. Pixels are float32
        (batch, size, size, 3) in [0, 255], weights float32 (batch,).

    Raises:
        ValueError: images are to be mixed without `num_classes`.
    """
    draws = draws or Draws()
    if draws.mixer is not None and num_classes is None:
        raise ValueError("mixed images need one-hot labels")
    ordered = in_order(examples, draws)
    # View 0 is the clean image.
    views = np.full(len(ordered), draws.epoch + 1 if draws.augmenter else 0, np.int32)
    labels = np.asarray([example.label for example in ordered], np.int32)
    label_column = tf.data.Dataset.from_tensor_slices(labels)
    if num_classes is not None:
        label_column = label_column.map(lambda label: tf.one_hot(label, num_classes))
    columns = [_images(ordered, views, square, draws.augmenter, draws.seed), label_column]
    if class_weights is not None:
        columns.append(tf.data.Dataset.from_tensor_slices(np.asarray(class_weights, np.float32)[labels]))
    batches = tf.data.Dataset.zip(tuple(columns)).batch(batch)
    if draws.mixer is not None:
        batches = _mixed(batches, draws.mixer, seed=draws.seed, epoch=draws.epoch)
    return ahead(batches)


def ahead(batches: Batches) -> Batches:
    """Have the next batches made while the model works on one.

    Without tf.data's tuner: its thread sleeps twice as long each time, up to a minute, and an iterator at its end waits
    for that thread. Passes of 100 s took 142 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)


def in_order(items: Sequence[Item], draws: Draws) -> list[Item]:
    """The images, or their places, in the order of a pass."""
    if not draws.shuffle:
        return list(items)
    order = np.random.default_rng([draws.seed, draws.epoch]).permutation(len(items))
    return [items[place] for place in order]


def _images(
    examples: Sequence[Example], views: ViewNumbers, square: Square, augmenter: Augmenter | None, seed: int
) -> Batches:
    """A tf.data dataset of single images, float32 (size, size, 3), in order."""
    # Paths as bytes: a name need not be UTF-8.
    paths = tf.constant([os.fsencode(example.source) for example in examples], tf.string, [len(examples)])
    digests = tf.constant([digest_of(example) for example in examples], tf.string, [len(examples)])
    files = (paths, digests)
    columns = files if augmenter is None else (*files, _content_seeds(examples), views)
    source = tf.data.Dataset.from_tensor_slices(columns)
    return source.map(_loader(square, augmenter, seed), num_parallel_calls=count_cores(), deterministic=True)


@lru_cache(maxsize=16)
def _loader(square: Square, augmenter: Augmenter | None, seed: int) -> Callable[..., Tensor]:
    """A function from a file to pixels, traced once: tracing takes half a second, too long for every epoch.

    AutoGraph, which nothing here needs, would make that five times as long: it rewrites the source of every function.
    """

    def load(path: Tensor, digest: Tensor, content_seed: Tensor = None, view: Tensor = None) -> Tensor:
        image = decode_resized(read_unchanged(path, digest), square.size, square.fit)
        if augmenter is None:
            return image
        return augmenter(image, fold_in(content_seed, _as_int32(seed)), view)

    loader: Callable[..., Tensor] = tf.function(load, autograph=False)
    return loader


def _content_seeds(examples: Sequence[Example]) -> Seeds:
    """Seeds from the content: the same image has the same views wherever it lies."""
    starts = b"".join(bytes.fromhex(example.sha256[:16]) for example in examples)
    return np.frombuffer(starts, np.dtype("<i4")).reshape(-1, 2).astype(np.int32)


def _mixed(batches: Batches, mixer: Mixer, *, seed: int, epoch: int) -> Batches:
    """Batches whose images and labels are mixed, each batch by a key that belongs to its number."""
    key = tf.constant([_as_int32(seed), epoch], tf.int32)

    def mix(number: Tensor, columns: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        images, labels = mixer(columns[0], columns[1], fold_in(key, number))
        return (images, labels, *columns[2:])

    return batches.enumerate().map(mix, num_parallel_calls=count_cores(), deterministic=True)


def _as_int32(seed: int) -> int:
    """The lower 31 bits: a user's seed may be longer than TensorFlow's."""
    return seed & 0x7FFFFFFF
