"""Predicts labelled images: from cached features where the backbones are frozen, otherwise from their pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import HalfRows, Probabilities, Tensor
from pipelines.evaluation.predictions import join_rows, predict_batches
from pipelines.features.cached import CLEAN, BaseKey, Features
from pipelines.features.extract import extract
from pipelines.features.frozen_base import FrozenBase, engine_available
from pipelines.images.batches import Batches, pixel_batches
from pipelines.images.readable import DECODE_VERSION
from pipelines.images.unchanged import naming_changed
from pipelines.runs.examples import Example
from pipelines.runs.manifest import BaseRecord, Manifest
from pipelines.runs.models import load_run
from pipelines.runs.square import Fit, Square
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

BATCH = 32
FEATURE_ROWS = 1024  # rows of cached features that pass the head at once


def predict_examples(
    run: str, manifest: Manifest, examples: Sequence[Example], *, cache: bool, reporter: Reporter
) -> tuple[Probabilities, str]:
    """Probabilities (examples, classes) of a run, and how they were computed, in words.

    Args:
        run: the run's folder.
        manifest: of the run.
        examples: the images.
        cache: whether cached features may be used.
        reporter: where progress goes.

    Raises:
        UserError: the model cannot be loaded, or an image changed since it was checked.
    """
    model, _ = load_run(run)
    bases = frozen_bases(manifest) if cache else ()
    if not bases:
        return _predict_pixels(model, examples, manifest.fit, reporter), "the saved model, float32"
    features, engines = [], []
    for base in bases:
        of_base, engine = _extract(model, base, manifest.fit, examples, reporter, is_named=len(bases) > 1)
        features.append(of_base)
        engines.append(engine)
    return _predict_features(_top(model, bases), features), f"cached features ({'; '.join(dict.fromkeys(engines))})"


def frozen_features(run: str, manifest: Manifest, examples: Sequence[Example], reporter: Reporter) -> HalfRows | None:
    """Features (examples, features) of the first frozen base of a run; None where no part of it is frozen.

    Args:
        run: the run's folder.
        manifest: of the run.
        examples: the images.
        reporter: where progress goes.

    Raises:
        UserError: as `predict_examples`.
    """
    bases = frozen_bases(manifest)
    if not bases:
        return None
    model, _ = load_run(run)
    features, _ = _extract(model, bases[0], manifest.fit, examples, reporter, is_named=False)
    return features.halves(np.arange(len(examples)))


def frozen_bases(manifest: Manifest) -> tuple[BaseRecord, ...]:
    """The frozen bases of a run's model; empty where a part of the model sees the pixels otherwise."""
    weights_sha256 = manifest.backbone.weights_sha256
    if manifest.members or weights_sha256 is None:
        return manifest.bases
    base = BaseRecord(
        backbone_layer="backbone",
        pooling_layer="pooling",
        backbone=manifest.backbone.name,
        weights_sha256=weights_sha256,
        image_size=manifest.image_size,
        pooling=manifest.head.pooling,
        engine=manifest.engine_asked,
        features=manifest.head.features,
        mirror=manifest.head.mirror,
    )
    return (base,)


def _predict_pixels(model: keras.Model, examples: Sequence[Example], fit: Fit, reporter: Reporter) -> Probabilities:
    square = Square(size=int(model.input_shape[1]), fit=fit)
    batches = pixel_batches(examples, square=square, batch=BATCH)
    with naming_changed(examples), reporter.task("evaluate", len(examples)) as task:
        probabilities, _ = predict_batches(model, _counted(batches, task.advance))
    return probabilities


def _predict_features(top: keras.Model, features: Sequence[Features]) -> Probabilities:
    """Probabilities of the features of each base, of the same images in the same order."""
    first, *others = features
    pieces = (
        np.asarray(top.predict_on_batch([rows, *(of_base.rows(numbers) for of_base in others)]))
        for numbers, rows in first.pieces(FEATURE_ROWS)
    )
    return join_rows(pieces, len(first))


def _extract(
    model: keras.Model,
    base: BaseRecord,
    fit: Fit,
    examples: Sequence[Example],
    reporter: Reporter,
    *,
    is_named: bool,
) -> tuple[Features, str]:
    """The features of one base, and the engine that computed them, in words."""
    key = BaseKey(
        backbone=base.backbone,
        weights_sha256=base.weights_sha256,
        image_size=base.image_size,
        pooling=base.pooling,
        decode_version=DECODE_VERSION,
        features=base.features,
        fit=fit,
    )
    frozen = FrozenBase(
        key=key,
        build=partial(_trunk, model, base),
        engine=engine_available(base.engine, reporter),
        mirror=base.mirror,
    )
    extracted = extract(
        {"images": examples},
        frozen,
        views={"images": CLEAN},
        augmenter=None,
        reporter=reporter,
    )
    reporter.note(f"{base.backbone}: {extracted.line}" if is_named else extracted.line)
    return extracted.parts["images"], f"{extracted.engine.engine}, {extracted.engine.precision}"


def _trunk(model: keras.Model, base: BaseRecord) -> keras.Model:
    """The part of the model that computes the features of one image: pixels of its size -> (batch, features)."""
    import keras

    from models.mirror import without_mirror

    backbone = model.get_layer(base.backbone_layer)
    if (single := without_mirror(backbone)) is not None:
        return single
    pixels = keras.Input(backbone.input_shape[1:])
    pooling = model.get_layer(base.pooling_layer)
    return keras.Model(pixels, pooling(backbone(pixels)), name="features")


def _top(model: keras.Model, bases: Sequence[BaseRecord]) -> keras.Model:
    """The rest of the model: features of each base -> probabilities."""
    import keras

    features = [model.get_layer(base.pooling_layer).output for base in bases]
    return keras.Model(features, model.outputs[0], name="top")


def _counted(batches: Batches, advance: Callable[[int], None]) -> Iterator[tuple[Tensor, ...]]:
    for batch in batches:
        yield batch
        advance(len(batch[1]))
