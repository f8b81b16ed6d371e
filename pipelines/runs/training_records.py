"""Records of a training for run.json, history.csv and the learning curves (no NumPy: the command line reads them)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.ranges import Factor, Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTrial:
    """One head of a bank: its hyperparameters, and how well it did.

    Attributes:
        number: its index in the bank, from 0.
        l2: strength of the L2 penalty on standardised features.
        learning_rate: the first; None of a head that is solved, not trained in steps.
        dropout: rate in [0, 1).
        seed: of its initial weights.
        best_epoch: the epoch with the least validation loss, from 1; 0 where no epoch had a finite loss; None of a head
            that is solved.
        validation_loss: log-loss of that epoch, or out of fold where folds chose, nats; None where it never was finite.
        validation_accuracy: the same, in [0, 1].
        features: of which layers.
        training_loss: of a head that is solved: the head that was fitted to all training images, on these, nats; None
            of others, whose epochs are in history.csv, and in records of earlier versions.
        training_accuracy: the same, in [0, 1].
    """

    number: NonNegativeInt
    l2: NonNegativeFloat
    learning_rate: NonNegativeFloat | None
    dropout: Rate
    seed: NonNegativeInt
    best_epoch: NonNegativeInt | None
    validation_loss: NonNegativeFloat | None
    validation_accuracy: Fraction
    features: FeatureLayers = "last"
    training_loss: NonNegativeFloat | None = None
    training_accuracy: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecipe:
    """How a stage was trained; what the user left open is filled in.

    Attributes:
        optimizer: the rule; `l-bfgs` solves a head, which then has no learning rate, schedule, patience or batch.
        learning_rate: the first.
        schedule: `plateau` or `cosine`, as in `pipelines.runs.stages.Recipe`.
        epochs: at most; iterations where a head is solved.
        patience: epochs without a better validation loss before the stage, or a head of a bank, stops.
        batch: images a step.
        weight_decay: on kernels; 0 for none.
        momentum: of `sgd` where a network is trained; None for the other rules, and in records of earlier versions.
        l2: strength of the L2 penalty on standardised features, of a head of a bank.
        dropout: rate in [0, 1) of the head; a network may have its own below.
        warm_up: epochs over which the rate rises.
        layer_decay: factor on the rate from each block to the one below.
        clip: greatest global norm of the gradients; None for any.
        label_smoothing: share of each label that is spread over all classes.
        ema: momentum of a moving average of the weights; 0 for none.
        precision: that was computed in.
        augment: name of the augmentation policy.
        views: of each image in the cache; None where every epoch draws fresh ones.
        class_weights: `auto` gives every class the same weight, `none` every image.
        seed: of what is drawn.
    """

    optimizer: str
    learning_rate: NonNegativeFloat | None
    schedule: str | None
    epochs: PositiveInt
    patience: PositiveInt | None
    batch: PositiveInt | None
    weight_decay: NonNegativeFloat
    momentum: Rate | None = None
    l2: NonNegativeFloat = 0.0
    dropout: Rate
    warm_up: NonNegativeFloat = 0.0
    layer_decay: Factor = 1.0
    clip: NonNegativeFloat | None = None
    label_smoothing: Rate = 0.0
    ema: Rate = 0.0
    precision: str
    augment: str
    views: PositiveInt | None
    class_weights: str
    seed: NonNegativeInt


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch of a stage; the fields are the columns of history.csv, None where the stage does not measure them.

    Attributes:
        stage: label of the stage (see `pipelines.runs.stages.Stage.label`).
        epoch: from 1 in each stage.
        loss: mean training loss, nats.
        accuracy: share of the training images that were predicted correctly, in [0, 1].
        validation_loss: log-loss, nats.
        validation_accuracy: in [0, 1].
        learning_rate: at the end of the epoch.
        seconds: of the epoch.
    """

    stage: str
    epoch: int
    loss: float
    accuracy: float | None = None
    validation_loss: float
    validation_accuracy: float
    learning_rate: float | None = None
    seconds: float | None = None

    def measured(self) -> dict[str, str | int | float]:
        """The fields that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
