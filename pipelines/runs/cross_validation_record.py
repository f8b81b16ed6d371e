"""The record of how cross-validation chose a head (no NumPy: the command line reads it)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipelines.runs.look_alike_record import LookAlikeRecord
from pipelines.runs.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt

# Of which layers a head's features are.
FeatureLayers: TypeAlias = Literal["last", "levels"]
Decider: TypeAlias = Literal["folds", "validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedHead:
    """A head whose logits are averaged with those of another: its penalty, and its share in the average."""

    l2: NonNegativeFloat
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidationRecord:
    """How cross-validation chose the head of a run, which was then fitted to all training and validation images.

    The scores of the run's validation part are of predictions by heads that were not fitted to the image: out of fold
    or, where the user gave a validation part, by a head of the training images alone.

    Attributes:
        folds: how many.
        look_alikes: the groups that folds keep together.
        held_out: how many images a fold holds out.
        out_of_fold_loss: set of features -> log-loss of its best penalty out of fold, nats.
        validation_loss: set -> that of the same head on the given validation part; empty without one.
        averaged: set -> its part in the final head; empty where the head is of one set alone.
        averaged_loss: log-loss of the average out of fold, nats; None without one.
        decider: what chose features and penalty.
        fitted: images that the final head is fitted to.
        temperature: that its logits are divided by; None for none.
        note: on the folds, for people.
        warning: where folds and validation part disagree.
    """

    folds: PositiveInt
    look_alikes: LookAlikeRecord
    held_out: NonNegativeInt
    out_of_fold_loss: dict[str, NonNegativeFloat]
    validation_loss: dict[str, NonNegativeFloat] = field(default_factory=dict)
    averaged: dict[str, AveragedHead] = field(default_factory=dict)
    averaged_loss: NonNegativeFloat | None = None
    decider: Decider = "folds"
    fitted: PositiveInt
    temperature: NonNegativeFloat | None = None
    note: str | None = None
    warning: str | None = None
