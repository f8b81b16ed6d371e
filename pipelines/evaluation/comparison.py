"""Which of two models is kept: the frozen one or the fine-tuned one, judged on the same validation images."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.calibration import cooled, cooling
from pipelines.evaluation.intervals import paired_bootstrap
from pipelines.evaluation.metrics import losses
from pipelines.runs.report import Difference

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions


def at_its_best(answers: dict[str, Predictions]) -> dict[str, Predictions]:
    """A model's answers, a part each, at the temperature that suits its validation answers best."""
    temperature = cooling(*answers["validation"])
    return {part: (cooled(found, temperature).astype(np.float32), labels) for part, (found, labels) in answers.items()}


def compare_predictions(before: Predictions, after: Predictions) -> dict[str, Any]:
    """Two models' answers on the same images: log-loss and accuracy of each, and their paired differences."""
    labels = before[1]
    loss = [losses(answers, labels) for answers, _ in (before, after)]
    right = [(answers.argmax(1) == labels).astype(float) for answers, _ in (before, after)]
    sides = [
        {"log_loss": float(each.mean()), "accuracy": float(hits.mean())} for each, hits in zip(loss, right, strict=True)
    ]
    return {
        "before": sides[0],
        "after": sides[1],
        "log_loss": asdict(paired_bootstrap(loss[1], loss[0])),
        "accuracy": asdict(paired_bootstrap(right[1], right[0])),
    }


def better(verdict: dict[str, Any]) -> bool:
    """Whether the later of two models is to be kept, given what `compare` says of them on validation.

    The log-loss decides, except where it leaves the matter open and the accuracy does not: an interval that holds zero
    against one that leaves it out.
    """
    loss, accuracy = (Difference(**verdict[name]) for name in ("log_loss", "accuracy"))
    if accuracy.clear and not loss.clear:
        return accuracy.value > 0
    return loss.value < 0


def verdict_line(verdict: dict[str, Any], kept: bool) -> str:
    """What became of it: both figures, the paired interval, and which model is kept."""
    before, after = verdict["before"], verdict["after"]
    low, high = verdict["log_loss"]["interval"]
    gain, least, most = (100 * each for each in (verdict["accuracy"]["value"], *verdict["accuracy"]["interval"]))
    return (
        f"fine-tuning: calibrated validation loss {before['log_loss']:.4f} frozen, {after['log_loss']:.4f} fine-tuned "
        f"({verdict['log_loss']['value']:+.4f}, 95% interval {low:+.4f} to {high:+.4f}); accuracy "
        f"{100 * before['accuracy']:.1f}% and {100 * after['accuracy']:.1f}% ({gain:+.1f} points, {least:+.1f} to "
        f"{most:+.1f}): the {'fine-tuned' if kept else 'frozen'} model is kept"
    )
