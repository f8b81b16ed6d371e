"""What a run answers on examples: from cached features where its backbone is a frozen base, else from its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines import runs
from pipelines.batches import pixel_batches
from pipelines.decode import DECODE_VERSION
from pipelines.features import CLEAN, Base, collect
from pipelines.fit_network import answers
from pipelines.progress import Reporter
from pipelines.specs import Example

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
BATCH = 32


def answer(
    run: str, manifest: runs.Manifest, examples: Sequence[Example], *, cache: bool, reporter: Reporter
) -> tuple[Floats, str]:
    """Probabilities (examples, classes) of a run, in the order of the examples, and how they were got.

    Args:
        run: the run's folder.
        manifest: of it.
        examples: the images.
        cache: whether cached features may be used.
        reporter: where progress goes.
    """
    model, _ = runs.load(run)
    digest = manifest.backbone.get("weights_sha256")
    if not cache or digest is None:
        batches = pixel_batches(examples, size=manifest.image_size, batch=BATCH)
        with reporter.task("evaluate", len(examples)) as task:
            found, _ = answers(model, _counted(batches, task.advance))
        return found, "the saved model, float32"
    base = Base(
        backbone=str(manifest.backbone["name"]),
        weights_sha256=str(digest),
        image_size=manifest.image_size,
        pooling=str(manifest.head["pooling"]),
        decode_version=DECODE_VERSION,
    )
    collected = collect(
        {"images": examples},
        base,
        build=lambda: _trunk(model),
        views={"images": CLEAN},
        engine=str(manifest.spec.get("engine", "auto")),
        augmenter=None,
        reporter=reporter,
    )
    reporter.note(collected.line)
    head = model.get_layer("head")
    pieces = [np.asarray(head.predict_on_batch(rows)) for _, rows in collected.parts["images"].pieces(1024)]
    engine = collected.engine
    return np.concatenate(pieces), f"cached features ({engine['engine']}, {engine['precision']})"


def _trunk(model: keras.Model) -> keras.Model:
    """The saved classifier up to its features (batch, features)."""
    import keras

    return keras.Model(model.input, model.get_layer("pooling").output, name="features")


def _counted(batches, advance):  # type: ignore[no-untyped-def]
    for batch in batches:
        yield batch
        advance(len(batch[1]))
