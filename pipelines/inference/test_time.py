"""Averaging a model's answers over views of each image at prediction: what is gained costs as many passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from pipelines.runs.report import Difference

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.runs.examples import Example
    from pipelines.system.progress import Reporter

NAMED = ("flip", "crop5")
MOST = 64
CROP = 0.875  # side of a crop, of the image's
POLICY = "light"  # of the views that are asked for by number
BATCH = 32
Pixels = Any  # TensorFlow carries no types
Make = Callable[[Pixels], list[Pixels]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What averaging over views brought, on labelled images.

    Attributes:
        tta: which views.
        views: how many.
        accuracy: with it and without.
        difference: of the accuracies, by paired bootstrap.
        log_loss: with it and without.
        time: with it, as a multiple of without.
    """

    tta: str
    views: int
    accuracy: tuple[float, float]
    difference: Difference
    log_loss: tuple[float, float]
    time: float

    @property
    def line(self) -> str:
        """One line for people."""
        low, high = (100 * each for each in self.difference.interval)
        return (
            f"--tta {self.tta}: {100 * self.difference.value:+.1f} points (95 % interval {low:.1f} .. {high:.1f}), "
            f"log-loss {self.log_loss[1]:.3f} -> {self.log_loss[0]:.3f}, {self.time:.1f}x the time an image"
        )


def require(tta: str) -> None:
    """Refuse what is no choice of views; light.

    Raises:
        UserError: it is neither a name nor a number of views.
    """
    if tta in NAMED or (tta.isascii() and tta.isdecimal() and 2 <= int(tta) <= MOST):
        return
    raise UserError(f"unknown views: `{tta}`", f"--tta takes {', '.join(NAMED)}, or a number from 2 to {MOST}")


def build_views(tta: str, *, size: int) -> Make:
    """What makes the views of a batch of pixels (batch, size, size, 3) in [0, 255]; TensorFlow operations.

    Args:
        tta: `flip` (as it is, and mirrored), `crop5` (centre and corners), or a number: the image and as many light
            augmentations less one, the same for every image.
        size: side of the images.

    Raises:
        UserError: as `require`.
    """
    require(tta)
    if tta == "flip":
        return lambda pixels: [pixels, pixels[:, :, ::-1]]
    if tta == "crop5":
        return lambda pixels: _crops(pixels, size)
    return _augmented(int(tta), size)


def averaged(model: Callable[[Pixels], Any], make: Make) -> Callable[[Pixels], Any]:
    """A function of pixels that gives the mean of a model's answers over the views; of each, where it gives several."""
    import tensorflow as tf

    def call(pixels: Pixels) -> Any:
        return tf.nest.map_structure(lambda *each: tf.add_n(each) / len(each), *[model(view) for view in make(pixels)])

    return call


def answers_with_gain(
    model: keras.Model, examples: Sequence[Example], tta: str, *, reporter: Reporter
) -> tuple[NDArray[np.float32], Gain]:
    """Answers (images, classes) averaged over views, and what that brought and cost against none.

    Args:
        model: pixels -> probabilities.
        examples: labelled images.
        tta: as for `build_views`.
        reporter: where progress goes.
    """
    import numpy as np
    import tensorflow as tf

    from pipelines.evaluation.intervals import paired_bootstrap
    from pipelines.evaluation.metrics import losses
    from pipelines.images.batches import pixel_batches

    size = int(model.input_shape[1])
    make = build_views(tta, size=size)
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    plain = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    calls = (tf.function(averaged(plain, make), input_signature=signature), plain)
    found: tuple[list[Any], list[Any]] = ([], [])
    seconds = [0.0, 0.0]
    warm_up = tf.zeros((1, size, size, 3))
    views = len(make(warm_up))
    for call in calls:
        call(warm_up)
    with reporter.task("evaluate", len(examples)) as task:
        for pixels, _ in pixel_batches(examples, size=size, batch=BATCH):
            for place, call in enumerate(calls):
                began = time.perf_counter()
                found[place].append(np.asarray(call(pixels)))
                seconds[place] += time.perf_counter() - began
            task.advance(len(pixels))
    mine, other = (np.concatenate(each) for each in found)
    labels = np.asarray([each.label for each in examples], np.int32)
    right = [each.argmax(1) == labels for each in (mine, other)]
    return mine, Gain(
        tta=tta,
        views=views,
        accuracy=(float(right[0].mean()), float(right[1].mean())),
        difference=paired_bootstrap(*right),
        log_loss=(float(losses(mine, labels).mean()), float(losses(other, labels).mean())),
        time=seconds[0] / seconds[1],
    )


def _crops(pixels: Pixels, size: int) -> list[Pixels]:
    import tensorflow as tf

    side = round(CROP * size)
    edge, middle = size - side, (size - side) // 2
    corners = ((middle, middle), (0, 0), (0, edge), (edge, 0), (edge, edge))
    return [
        tf.image.resize(pixels[:, top : top + side, left : left + side], (size, size), antialias=True)
        for top, left in corners
    ]


def _augmented(count: int, size: int) -> Make:
    import tensorflow as tf

    from pipelines.images.augment import build_augmenter

    augment = build_augmenter(POLICY, size=size)
    seed = tf.zeros(2, tf.int32)

    def view(pixels: Pixels, number: int) -> Pixels:
        spec = tf.TensorSpec((size, size, 3), tf.float32)
        return tf.map_fn(lambda image: augment(image, seed, tf.constant(number)), pixels, fn_output_signature=spec)

    return lambda pixels: [pixels, *(view(pixels, number) for number in range(1, count))]
