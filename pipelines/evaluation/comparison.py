"""Compares two models on the same images: mean scores, paired differences and their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from models.arrays import Doubles, Labels, Probabilities
from pipelines.evaluation.intervals import NORMAL_975, paired_bootstrap
from pipelines.evaluation.metrics import losses
from pipelines.runs.examples import Split
from pipelines.runs.report import Comparison, ModelComparison, Score


def compare_scores(
    score: Score, first: ArrayLike, second: ArrayLike, *, names: tuple[str, str], part: str
) -> Comparison:
    """Compare one score of two models.

    Args:
        score: what is compared.
        first: (images,) score of the first model on each image: 1 for a correct prediction and 0 for a wrong one, or
            the loss in nats.
        second: (images,) of the second model, in the same order.
        names: of the two models.
        part: of the images: `train`, `validation`, `test` or `all`.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    scores = np.asarray(first, np.float64), np.asarray(second, np.float64)
    interval = paired_bootstrap(*scores)
    return Comparison(
        score=score,
        first=names[0],
        second=names[1],
        part=part,
        images=len(scores[0]),
        means=(float(scores[0].mean()), float(scores[1].mean())),
        value=float((scores[0] - scores[1]).mean()),
        interval=interval,
    )


def compare_models(
    first: Probabilities | Doubles,
    second: Probabilities | Doubles,
    labels: Labels,
    *,
    names: tuple[str, str],
    part: str,
) -> ModelComparison:
    """Compare the accuracy and the log-loss of two models.

    Args:
        first: (images, classes) of the first model.
        second: (images, classes) of the second model, images and classes in the same order.
        labels: (images,) true classes.
        names: of the two models.
        part: of the images: `train`, `validation`, `test` or `all`.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    correct, second_correct = (probabilities.argmax(1) == labels for probabilities in (first, second))
    loss, second_loss = losses(first, labels), losses(second, labels)
    return ModelComparison(
        accuracy=compare_scores("accuracy", correct, second_correct, names=names, part=part),
        log_loss=compare_scores("log_loss", loss, second_loss, names=names, part=part),
    )


def is_worth_keeping(compared: ModelComparison) -> bool:
    """Whether a fine-tuned model (first) is kept instead of the frozen one.

    It has to be better by more than the standard error of the difference: the same images chose its epoch, and of a
    handful of images some epoch is better by chance.

    Args:
        compared: on the validation images.
    """
    if not compared.first_is_better:
        return False
    low, high = compared.log_loss.interval
    standard_error = (high - low) / (2 * NORMAL_975)
    return compared.accuracy.first_is_clearly_better or -compared.log_loss.value > standard_error


def fine_tuning_lines(
    compared: Mapping[Split, ModelComparison], *, is_kept: bool, share: float | None = None
) -> list[str]:
    """Lines for people: the fine-tuned (first) against the frozen model, and which is kept.

    Args:
        compared: part -> comparison; the validation images chose the fine-tuned model's epoch, the test images nothing.
        is_kept: whether the fine-tuned model is kept.
        share: of the way from the frozen to the fine-tuned weights that the fine-tuned model has; None for all of it.
    """
    is_between = share is not None and share < 1
    chosen = "its epoch and that share" if is_between else "its epoch"
    verdict = f"the {'fine-tuned' if is_kept else 'frozen'} model is kept"
    if not is_kept and compared["validation"].first_is_better:
        verdict += ", for the gain is within its standard error"
    lines = [
        f"fine-tuning: {_gain(compared['validation'])}: {verdict}; "
        f"these images chose {chosen}, so the gain is somewhat too good"
    ]
    if share is not None and is_between:
        lines.insert(0, f"fine-tuning: best {share:.0%} of the way from the frozen to the fine-tuned weights")
    if "test" in compared:
        lines.append(f"fine-tuning, on images that chose nothing: {_gain(compared['test'])}")
    return lines


def _gain(comparison: ModelComparison) -> str:
    """Both scores of the fine-tuned (first) and the frozen model, and the paired differences."""
    loss, accuracy = comparison.log_loss, comparison.accuracy
    low, high = loss.interval
    gain, least, most = (100 * points for points in (accuracy.value, *accuracy.interval))
    return (
        f"calibrated {loss.part} loss {loss.means[1]:.4f} frozen, {loss.means[0]:.4f} fine-tuned "
        f"({loss.value:+.4f}, 95% interval {low:+.4f} to {high:+.4f}); accuracy "
        f"{100 * accuracy.means[1]:.1f}% and {100 * accuracy.means[0]:.1f}% ({gain:+.1f} points, {least:+.1f} to "
        f"{most:+.1f})"
    )
