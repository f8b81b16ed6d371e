"""Runs a model over batches of labelled images and gathers its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import keras
import numpy as np

from models.arrays import Labels, Probabilities, Tensor

# Probabilities (images, classes) of a model on labelled images, and their labels (images,).
Predictions: TypeAlias = tuple[Probabilities, Labels]


def join_rows(pieces: Iterable[Probabilities], num_images: int) -> Probabilities:
    """Join the rows of pieces, as `np.concatenate`, but with one piece and no second copy of them all in memory.

    Args:
        pieces: (images, classes) each, at least one.
        num_images: of all pieces together, at least one.

    Raises:
        ValueError: there are no pieces.
    """
    rows, place = None, 0
    for piece in pieces:
        if rows is None:
            rows = np.empty((num_images, piece.shape[1]), np.float32)
        rows[place : place + len(piece)] = piece
        place += len(piece)
    if rows is None or place != num_images:
        raise ValueError(f"the pieces have {place} rows, expected {num_images}")
    return rows


def predict_batches(model: keras.Model, batches: Iterable[tuple[Tensor, ...]]) -> Predictions:
    """Probabilities (images, classes) and labels (images,) of batches of (pixels, labels, ...)."""
    return gather_predictions(model.predict_on_batch, batches)


def gather_predictions(predict: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, ...]]) -> Predictions:
    """The same for any function from a batch of inputs to probabilities (batch, classes).

    Raises:
        ValueError: there are no batches.
    """
    probabilities, labels = [], []
    for inputs, batch_labels, *_ in batches:
        probabilities.append(np.asarray(predict(inputs)))
        labels.append(np.asarray(batch_labels))
    return np.concatenate(probabilities), np.concatenate(labels).astype(np.int32)
