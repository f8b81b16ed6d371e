"""Runs a model over batches of labelled images and gathers its probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import numpy as np

from models.arrays import Labels, Probabilities

# Probabilities (images, classes) of a model on labelled images, and their labels (images,).
Predictions: TypeAlias = tuple[Probabilities, Labels]


def predict_batches(model: keras.Model, batches: Iterable[Any]) -> Predictions:
    """Probabilities (images, classes) and labels (images,) of batches of (pixels, labels, ...)."""
    return gather_predictions(model.predict_on_batch, batches)


def gather_predictions(predict: Callable[[Any], Any], batches: Iterable[Any]) -> Predictions:
    """The same of any function from pixels to probabilities."""
    found, labels = [], []
    for batch in batches:
        found.append(np.asarray(predict(batch[0])))
        labels.append(np.asarray(batch[1]))
    return np.concatenate(found), np.concatenate(labels).astype(np.int32)
