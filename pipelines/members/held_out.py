"""Predicts the training images out of fold, for boosting: a network hardly gets an image wrong that it has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from pipelines.data.folds import divide_folds
from pipelines.runs.examples import Dataset
from pipelines.runs.layout import STATE_FOLDER

if TYPE_CHECKING:
    from models.arrays import Indices, Labels, Weights
    from models.heads import Candidate
    from pipelines.features.cached import Features
    from pipelines.training.plan import TrainingPlan

# Each held-out prediction is of a network that was trained on two thirds of the training images.
FOLDS = 3


def divide_held_out(dataset: Dataset, *, seed: int) -> tuple[Indices, ...]:
    """Places (images,) in the training part of the images that each fold holds out; identical images in one fold.

    Raises:
        UserError: a class has too few distinct training images.
    """
    train = dataset.part("train")
    try:
        folds = divide_folds(replace(dataset, examples=train), FOLDS, seed=seed)
    except UserError as error:
        raise UserError(
            f"--boost predicts the training images in {FOLDS} folds, and a class has too few distinct ones for that",
            "add images, or omit --boost",
        ) from error
    return tuple(
        np.flatnonzero([example.split == "validation" for example in fold.examples]).astype(np.intp) for fold in folds
    )


def predict_network_held_out(plan: TrainingPlan) -> Labels:
    """The classes (images,) of the training images, each predicted by a network from scratch that did not see it.

    Args:
        plan: of the member; the networks are trained as it is, with its weights of the images.
    """
    import keras

    from pipelines.evaluation.predictions import predict_batches
    from pipelines.images.batches import pixel_batches
    from pipelines.training.from_scratch import train_from_scratch

    train = plan.dataset.part("train")
    classes = np.zeros(len(train), np.int32)
    for number, (places, rest) in enumerate(_folds_of(plan)):
        plan.reporter.note(f"boosting: out-of-fold predictions, network {number + 1} of {FOLDS}")
        examples = (*(train[place] for place in rest), *plan.dataset.part("validation"))
        fold = replace(
            plan,
            dataset=replace(plan.dataset, examples=examples),
            folder=plan.folder / STATE_FOLDER / f"held-out-{number}",
            image_weights=_of_mean_1(plan.image_weights, rest),
        )
        keras.utils.set_random_seed(plan.spec.fit.seed)
        model = train_from_scratch(fold).model
        square = plan.square(int(model.input_shape[1]))
        batches = pixel_batches([train[place] for place in places], square=square, batch=plan.spec.fit.batch_size)
        classes[places] = predict_batches(model, batches)[0].argmax(1)
    return classes


def predict_head_held_out(plan: TrainingPlan, candidate: Candidate, *, train: Features, validation: Features) -> Labels:
    """The classes (images,) of the training images, each predicted by a head that did not see it.

    Args:
        plan: of the member, with its weights of the images.
        candidate: the hyperparameters of its head.
        train: features of the training images.
        validation: features that decide when a head stops.
    """
    from pipelines.features.subset import FeatureSubset
    from pipelines.fitting.heads import fit_heads, predict_features
    from pipelines.training.head_stage import search_of
    from pipelines.training.plan import class_weights, list_stages

    epochs = list_stages(plan.spec, is_untrained=False)[0].epochs
    classes = np.zeros(len(train), np.int32)
    for places, rest in _folds_of(plan):
        fitted = fit_heads(
            search_of(plan, (candidate,), epochs=epochs),
            train=FeatureSubset(train, rest),
            validation=validation,
            class_weights=class_weights(plan.dataset, plan.spec.fit.class_weights),
            sample_weights=_of_mean_1(plan.image_weights, rest),
            reporter=plan.reporter,
        )
        classes[places] = predict_features(fitted.heads[fitted.best], FeatureSubset(train, places)).argmax(1)
    return classes


def _folds_of(plan: TrainingPlan) -> Iterator[tuple[Indices, Indices]]:
    """For each fold the places that it holds out, and those that are left to train on."""
    everything = np.arange(len(plan.dataset.part("train")))
    for places in divide_held_out(plan.dataset, seed=plan.spec.fit.seed):
        yield places, np.setdiff1d(everything, places)


def _of_mean_1(weights: Weights | None, places: Indices) -> Weights | None:
    if weights is None:
        return None
    chosen = weights[places]
    return np.asarray(chosen / chosen.mean(), np.float32)
