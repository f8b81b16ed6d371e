"""What a run answers on examples: from cached features where its backbone is a frozen base, else from its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.predictions import predict_batches
from pipelines.features.cached import CLEAN
from pipelines.features.extract import extract
from pipelines.images.batches import pixel_batches
from pipelines.inference.frozen_bases import CachedBase, bases_of
from pipelines.runs.examples import Example
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import load_run
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
BATCH = 32


def predict_examples(
    run: str, manifest: Manifest, examples: Sequence[Example], *, cache: bool, reporter: Reporter
) -> tuple[Floats, str]:
    """Probabilities (examples, classes) of a run, in the order of the examples, and how they were got.

    Args:
        run: the run's folder.
        manifest: of it.
        examples: the images.
        cache: whether cached features may be used.
        reporter: where progress goes.
    """
    model, _ = load_run(run)
    bases = bases_of(manifest)
    if not cache or not bases:
        batches = pixel_batches(examples, size=int(model.input_shape[1]), batch=BATCH)
        with reporter.task("evaluate", len(examples)) as task:
            found, _ = predict_batches(model, _counted(batches, task.advance))
        return found, "the saved model, float32"
    features, engines = [], []
    for base in bases:
        collected = extract(
            {"images": examples},
            base.key,
            build=partial(_trunk, model, base),
            views={"images": CLEAN},
            engine=base.engine,
            augmenter=None,
            reporter=reporter,
        )
        reporter.note(f"{base.key.backbone}: {collected.line}" if len(bases) > 1 else collected.line)
        features.append(collected.parts["images"])
        engines.append(f"{collected.engine['engine']}, {collected.engine['precision']}")
    top = _top(model, bases)
    pieces = [
        np.asarray(top.predict_on_batch([rows, *(each.rows(numbers) for each in features[1:])]))
        for numbers, rows in features[0].pieces(1024)
    ]
    return np.concatenate(pieces), f"cached features ({'; '.join(dict.fromkeys(engines))})"


def _trunk(model: keras.Model, base: CachedBase) -> keras.Model:
    """What computes the features of a base: pixels of its own size -> (batch, features)."""
    import keras

    backbone = model.get_layer(base.backbone_layer)
    pixels = keras.Input(backbone.input_shape[1:])
    pooling = model.get_layer(base.pooling_layer)
    return keras.Model(pixels, pooling(backbone(pixels)), name="features")


def _top(model: keras.Model, bases: Sequence[CachedBase]) -> keras.Model:
    """The rest of the model: features of each base -> probabilities."""
    import keras

    features = [model.get_layer(each.pooling_layer).output for each in bases]
    return keras.Model(features, model.outputs[0], name="top")


def _counted(batches, advance):  # type: ignore[no-untyped-def]
    for batch in batches:
        yield batch
        advance(len(batch[1]))
