"""Test-time augmentation: averages a model's predictions over several views of each image, for as many passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from models.arrays import Tensor
from models.errors import UserError
from pipelines.runs.report import Json, ModelComparison
from pipelines.runs.square import Fit, Square

if TYPE_CHECKING:
    import keras

    from models.arrays import Probabilities
    from pipelines.runs.examples import Example
    from pipelines.runs.manifest import Manifest
    from pipelines.system.progress import Reporter

NAMED = ("flip", "crop5", "crop10")
MAX_VIEWS = 64
CROP = 0.875  # side of a crop, as a share of the image's side: 224 of 256 pixels
POLICY = "light"  # augments the views when --tta is a number
BATCH = 32
# Pixels (batch, size, size, 3) in [0, 255] -> as many views of them, each of the same shape.
MakeViews: TypeAlias = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewsGain:
    """Predictions averaged over views compared with predictions on the images as they are.

    Attributes:
        tta: which views, as for `build_views`.
        views: how many.
        comparison: averaged predictions first, plain ones second.
        time_ratio: prediction time with views as a multiple of the time without.
    """

    tta: str
    views: int
    comparison: ModelComparison
    time_ratio: float

    @property
    def line(self) -> str:
        """One line for people."""
        accuracy, log_loss = self.comparison.accuracy, self.comparison.log_loss
        low, high = (100 * bound for bound in accuracy.interval)
        return (
            f"--tta {self.tta}: {100 * accuracy.value:+.1f} points (95 % interval {low:.1f} .. {high:.1f}), "
            f"log-loss {log_loss.means[1]:.3f} -> {log_loss.means[0]:.3f}, {self.time_ratio:.1f}x the time an image"
        )

    def to_json(self) -> Json:
        """What `evaluate --json` prints; pairs are (with views, without)."""
        accuracy, log_loss = self.comparison.accuracy, self.comparison.log_loss
        return {
            "tta": self.tta,
            "views": self.views,
            "accuracy": accuracy.means,
            "difference": asdict(accuracy),
            "log_loss": log_loss.means,
            "log_loss_difference": asdict(log_loss),
            "time": self.time_ratio,
        }


def require_views(tta: str) -> None:
    """Check the value of `--tta`, without TensorFlow.

    Raises:
        UserError: it is neither a name nor a number of views.
    """
    if tta in NAMED or (tta.isascii() and tta.isdecimal() and 2 <= int(tta) <= MAX_VIEWS):
        return
    raise UserError(f"unknown views: `{tta}`", f"--tta takes {', '.join(NAMED)}, or a number from 2 to {MAX_VIEWS}")


def needless_views_line(tta: str, manifest: Manifest) -> str:
    """A line where a run averages over mirror images by itself (`train --mirror`); empty where all views count.

    Args:
        tta: as for `build_views`.
        manifest: of the run.
    """
    bases = [base.mirror for base in manifest.bases]
    if not (manifest.head.mirror or (bases and all(bases))):
        return ""
    if tta == "flip":
        return "--tta flip: changes nothing, the run averages over mirror images by itself (--mirror)"
    if tta == "crop10":
        return "--tta crop10: gives what crop5 gives in half the time, the run averages over mirror images (--mirror)"
    return ""


def warn_of_needless_views(tta: str | None, manifest: Manifest, reporter: Reporter) -> None:
    """Warn where the views that are asked for add nothing to those that the run averages over by itself."""
    if tta is not None and (line := needless_views_line(tta, manifest)):
        reporter.warn(line)


def build_views(tta: str, *, size: int) -> MakeViews:
    """Build the function that makes the views of a batch, of TensorFlow operations.

    Args:
        tta: `flip` (the image and its mirror image), `crop5` (centre and corners), `crop10` (those and their mirror
            images: Krizhevsky et al. 2012, section 4.1), or a number N: the image and N - 1 light augmentations, the
            same ones for every image.
        size: side of the images, pixels.

    Raises:
        UserError: as `require_views`.
    """
    require_views(tta)
    if tta == "flip":
        return lambda pixels: [pixels, pixels[:, :, ::-1]]
    if tta == "crop5":
        return lambda pixels: _crops(pixels, size)
    if tta == "crop10":
        return lambda pixels: [*_crops(pixels, size), *_crops(pixels[:, :, ::-1], size)]
    return _augmentations(int(tta), size)


def average_over(predict: Callable[[Tensor], Tensor], make_views: MakeViews) -> Callable[[Tensor], Tensor]:
    """A function from pixels to the mean of `predict` over the views; of several outputs the mean of each."""
    import tensorflow as tf

    def averaged(pixels: Tensor) -> Tensor:
        outputs = [predict(view) for view in make_views(pixels)]
        return tf.nest.map_structure(lambda *of_views: tf.add_n(of_views) / len(of_views), *outputs)

    return averaged


def predict_with_gain(
    model: keras.Model, examples: Sequence[Example], tta: str, *, fit: Fit, part: str, reporter: Reporter
) -> tuple[Probabilities, ViewsGain]:
    """Probabilities (examples, classes) averaged over views, compared with those of the images as they are.

    Args:
        model: pixels -> probabilities.
        examples: labelled images.
        tta: as for `build_views`.
        fit: how an image is fitted to the square that the model takes.
        part: of the examples: `train`, `validation`, `test` or `all`.
        reporter: where progress goes.
    """
    import numpy as np
    import tensorflow as tf

    from pipelines.evaluation.comparison import compare_models
    from pipelines.images.batches import pixel_batches
    from pipelines.images.unchanged import naming_changed

    square = Square(size=int(model.input_shape[1]), fit=fit)
    size = square.size
    make_views = build_views(tta, size=size)
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    plain = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    functions = (tf.function(average_over(plain, make_views), input_signature=signature), plain)
    black = tf.zeros((1, size, size, 3))
    num_views = len(make_views(black))
    for function in functions:
        function(black)  # traced here, outside the measured time

    batches: tuple[list[Probabilities], list[Probabilities]] = ([], [])
    seconds = [0.0, 0.0]
    with naming_changed(examples), reporter.task("evaluate", len(examples)) as task:
        for pixels, _ in pixel_batches(examples, square=square, batch=BATCH):
            for number, function in enumerate(functions):
                began = time.perf_counter()
                batches[number].append(np.asarray(function(pixels)))
                seconds[number] += time.perf_counter() - began
            task.advance(len(pixels))

    averaged, single = (np.concatenate(batch) for batch in batches)
    labels = np.asarray([example.label for example in examples], np.int32)
    return averaged, ViewsGain(
        tta=tta,
        views=num_views,
        comparison=compare_models(averaged, single, labels, names=(f"--tta {tta}", "no views"), part=part),
        time_ratio=seconds[0] / seconds[1],
    )


def _crops(pixels: Tensor, size: int) -> list[Tensor]:
    """The centre and the four corners, each resized to the whole side."""
    import tensorflow as tf

    side = round(CROP * size)
    edge, middle = size - side, (size - side) // 2
    corners = ((middle, middle), (0, 0), (0, edge), (edge, 0), (edge, edge))
    return [
        tf.image.resize(pixels[:, top : top + side, left : left + side], (size, size), antialias=True)
        for top, left in corners
    ]


def _augmentations(count: int, size: int) -> MakeViews:
    """The image and `count - 1` light augmentations of it."""
    import tensorflow as tf

    from pipelines.images.augment import build_augmenter
    from pipelines.images.policies import POLICIES

    augment = build_augmenter(POLICIES[POLICY], size=size)
    seed = tf.zeros(2, tf.int32)

    def view(pixels: Tensor, number: int) -> Tensor:
        spec = tf.TensorSpec((size, size, 3), tf.float32)
        return tf.map_fn(lambda image: augment(image, seed, tf.constant(number)), pixels, fn_output_signature=spec)

    return lambda pixels: [pixels, *(view(pixels, number) for number in range(1, count))]
