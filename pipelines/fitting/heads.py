"""Fits a bank of heads on cached features: each head has its own learning rate, early stop and best epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import numpy as np

from models.arrays import Indices, Probabilities, Weights
from models.bank import Bank
from pipelines.evaluation.predictions import join_rows
from pipelines.features.cached import Features
from pipelines.features.subset import FeatureSubset
from pipelines.fitting.bank_epochs import BankFit, HeadSearch, run_epochs
from pipelines.fitting.standardised import measure_moments
from pipelines.runs.training_records import EpochRecord, HeadTrial
from pipelines.system.progress import Reporter

PREDICTION_BATCH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHeads:
    """The heads of a bank after training.

    Attributes:
        heads: one plain model a candidate, features (batch, features) -> probabilities, at its best epoch.
        best: index of the head with the least validation log-loss.
        trials: one record a head, the best first.
        history: one record an epoch, of the best head.
        seconds: of training.
    """

    heads: tuple[keras.Model, ...]
    best: int
    trials: tuple[HeadTrial, ...]
    history: tuple[EpochRecord, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldHeads:
    """The best head of a bank by cross-validation.

    Attributes:
        head: fitted to all images, features (batch, features) -> probabilities.
        probabilities: (images, classes), each by a head that was not fitted to the image; of images that no fold holds
            out, by `head`.
        trials: one record a candidate, the least loss out of fold first.
        history: one record an epoch, of the best: means over the heads of the folds.
        seconds: of training.
    """

    head: keras.Model
    probabilities: Probabilities
    trials: tuple[HeadTrial, ...]
    history: tuple[EpochRecord, ...]
    seconds: float


def fit_heads(
    search: HeadSearch,
    *,
    train: Features,
    validation: Features,
    class_weights: Weights | None = None,
    sample_weights: Weights | None = None,
    reporter: Reporter,
) -> FittedHeads:
    """Fit all heads of a bank in one pass over the features, and keep each at its best epoch.

    Args:
        search: the heads.
        train: features to fit on; every epoch draws one view of each image at random.
        validation: features that decide learning rates, stops and best epochs.
        class_weights: (classes,) weight of an image of each class, or None.
        sample_weights: (images,) weights, or None.
        reporter: shows progress.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(search.seed)
    bank = _build_bank(search, train)
    weights = np.ones(len(train), np.float32) if sample_weights is None else sample_weights
    if class_weights is not None:
        weights = weights * class_weights[train.labels]
    fit = BankFit(bank=bank, train=train, weights=weights, judged=validation)
    progress, history = run_epochs(search, (fit,), reporter)
    trials = progress.trials()
    reporter.note(_best_line(trials, len(history)))
    return FittedHeads(
        heads=tuple(bank.head_model(number, progress.states[0]) for number in range(len(trials))),
        best=progress.best,
        trials=trials,
        history=history,
        seconds=time.monotonic() - started,
    )


def fit_fold_heads(
    search: HeadSearch, images: Features, fold_of: Indices, *, weights: Weights, reporter: Reporter
) -> FoldHeads:
    """Choose a head and its epoch by cross-validation, and fit it to all images.

    Each fold has a bank that never sees the images of the fold, and one more bank sees all images. They are trained
    side by side: the losses of all folds together decide on learning rates, stops and the best epoch of each head, so
    that no fold stops where its own images like it best.

    Args:
        search: the heads.
        images: features; every epoch draws one view of each image at random.
        fold_of: (images,) the fold that holds each out, from 0; -1 where none does.
        weights: (images,) in the loss.
        reporter: shows progress.
    """
    started = time.monotonic()
    keras.utils.set_random_seed(search.seed)
    fits, held_out = [], [np.flatnonzero(fold_of == fold) for fold in range(int(fold_of.max()) + 1)]
    for places in (*held_out, None):
        others = np.arange(len(images)) if places is None else np.setdiff1d(np.arange(len(images)), places)
        train = FeatureSubset(images, others, is_kept=False)
        judged = None if places is None else FeatureSubset(images, places, is_kept=False)
        bank = _build_bank(search, train)
        fits.append(BankFit(bank=bank, train=train, weights=weights[others], judged=judged))
    progress, history = run_epochs(search, fits, reporter)
    heads = [fit.bank.head_model(progress.best, state) for fit, state in zip(fits, progress.states, strict=True)]
    probabilities = predict_features(heads[-1], images)
    for places, head, fit in zip(held_out, heads, fits, strict=False):
        assert fit.judged is not None, "the bank that sees all images is the last"
        probabilities[places] = predict_features(head, fit.judged)
    return FoldHeads(
        head=heads[-1],
        probabilities=probabilities,
        trials=progress.trials(),
        history=history,
        seconds=time.monotonic() - started,
    )


def predict_features(head: keras.Model, features: Features) -> Probabilities:
    """Probabilities (images, classes) of a head on the clean views of a part."""
    pieces = (np.asarray(head.predict_on_batch(rows)) for _, rows in features.pieces(PREDICTION_BATCH))
    return join_rows(pieces, len(features))


def _build_bank(search: HeadSearch, train: Features) -> Bank:
    mean, scale = measure_moments((train,))
    return Bank(
        search.head,
        search.candidates,
        num_classes=search.num_classes,
        optimizer=search.optimizer,
        mean=mean,
        scale=scale,
    )


def describe_best(trials: tuple[HeadTrial, ...], epochs: int) -> str:
    """The hyperparameters and the epoch of the best head, for people.

    Args:
        trials: one record a head, the best first.
        epochs: that were trained.
    """
    best, count = trials[0], len(trials)
    return (
        f"{f'best of {count} heads' if count > 1 else 'head'}: l2 {best.l2:g}, learning rate {best.learning_rate:g}, "
        f"dropout {best.dropout:g}, epoch {best.best_epoch} of {epochs}"
    )


def _best_line(trials: tuple[HeadTrial, ...], epochs: int) -> str:
    """One line for people: the hyperparameters and the scores of the best head."""
    best = trials[0]
    loss = "not finite" if best.validation_loss is None else f"{best.validation_loss:.4f}"
    return f"{describe_best(trials, epochs)}: validation loss {loss}, accuracy {best.validation_accuracy:.4f}"
