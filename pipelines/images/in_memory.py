"""Keeps the pixels of small images in memory, for trainings that see the same clean images in every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from models.arrays import Labels, Pixels, Weights
from pipelines.images.batches import Batches, Draws, in_order

if TYPE_CHECKING:
    from pipelines.system.progress import Reporter

# Of all pixels together. Opening a pass over files and decoding 70 images of 16 x 16 pixels takes 0.5 s of a
# processor's time, a pass over an array 0.01 s; large images take long to train on, whatever reading them takes.
MOST_BYTES = 2**27
CHANNELS = 3


def fits_in_memory(num_images: int, size: int) -> bool:
    """Whether square images of `size` pixels a side are few and small enough to be kept."""
    return num_images * size * size * CHANNELS * np.dtype(np.float32).itemsize <= MOST_BYTES


def decode_all(batches: Iterable[tuple[tf.Tensor, tf.Tensor]], num_images: int, *, reporter: Reporter) -> Pixels:
    """Decode every image once.

    Args:
        batches: of pixels and labels, as of `pixel_batches`.
        num_images: in all of them.
        reporter: shows progress.

    Returns:
        (images, size, size, 3), in the order of the batches.
    """
    pieces = []
    with reporter.task("images", num_images) as task:
        for pixels, _ in batches:
            pieces.append(pixels.numpy())
            task.advance(len(pieces[-1]))
    return np.concatenate(pieces)


def array_batches(
    pixels: Pixels,
    labels: Labels,
    places: Sequence[int],
    *,
    batch: int,
    draws: Draws | None = None,
    class_weights: Weights | None = None,
) -> Batches:
    """The batches that `pixel_batches` gives for the same clean images, from memory.

    Args:
        pixels: (images, size, size, 3), of every image.
        labels: (images,).
        places: of the images of this pass, in the order given to `pixel_batches`.
        batch: images a batch; the last may hold fewer.
        draws: of the pass: its number, the seed and whether it is shuffled; None for the order given.
        class_weights: (classes,) weight of each class in the loss; None for none.

    Returns:
        A tf.data dataset of (pixels, labels), or (pixels, labels, weights) with `class_weights`.
    """
    order = np.asarray(in_order(places, draws or Draws()), np.intp)
    columns: list[Pixels | Labels | Weights] = [pixels[order], labels[order].astype(np.int32)]
    if class_weights is not None:
        columns.append(np.asarray(class_weights, np.float32)[columns[1]])
    return tf.data.Dataset.from_tensor_slices(tuple(columns)).batch(batch)
