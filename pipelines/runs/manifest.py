"""Records of `run.json`, the manifest of a run: everything known of it without loading its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.engines.records import EngineChoice
from pipelines.runs.cross_validation_record import CrossValidationRecord
from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.examples import Split
from pipelines.runs.feature_records import FeatureRecord
from pipelines.runs.leaderboard import Leaderboard, MemberRow
from pipelines.runs.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, Rate
from pipelines.runs.report import ModelComparison, Report
from pipelines.runs.spec import TrainSpec
from pipelines.runs.square import Fit, Square
from pipelines.runs.training_records import HeadTrial, StageRecipe

SCHEMA: Literal[2] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneRecord:
    """The backbone of a run.

    Attributes:
        name: as it was asked for; of an ensemble those of its members.
        weights: where they came from.
        parameters: how many.
        weights_sha256: of the file that the weights came from; None where they are not those of a file any more.
        file: relative to the run, where it is shared with other members of an ensemble.
        fine_tuned: names of the blocks that were trained after the head.
    """

    name: str
    weights: str
    parameters: NonNegativeInt
    weights_sha256: str | None = None
    file: str | None = None
    fine_tuned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecord:
    """The head of a run: its name in `models.heads.HEADS`, its shape, and which features before it are pooled how.

    `mirror`: whether they are averaged over image and mirror image; `init`: the distribution of its initial weights.
    """

    name: str
    pooling: str
    hidden: NonNegativeInt = 0
    batch_norm: bool = False
    dropout: Rate = 0.0
    about: str = ""
    features: str = "last"
    mirror: bool = False
    init: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What was asked for: exactly one of the three.

    Attributes:
        train: of a single model, and of each member of an ensemble.
        members: of an ensemble that was trained at once.
        ensemble: of runs that were combined.
    """

    train: TrainSpec | None = None
    members: MembersSpec | None = None
    ensemble: EnsembleSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRecord:
    """The images of a run.

    Attributes:
        root: absolute path of the folder or CSV file, or `tfds:NAME` as typed.
        origin: how it was read.
        images: part -> class -> number of images.
        skipped: how many files were left out.
        remarks: lines that the user should read.
    """

    root: str
    origin: Literal["folders", "split folders", "csv", "tfds"]
    images: dict[Split, dict[str, NonNegativeInt]]
    skipped: NonNegativeInt
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenHead:
    """The hyperparameters of the head that was chosen; a head that is solved has no learning rate."""

    l2: NonNegativeFloat
    learning_rate: NonNegativeFloat | None
    dropout: Rate
    seed: NonNegativeInt


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """One stage of a training.

    Attributes:
        name: label of the stage.
        unfreeze: what was trained, as in `pipelines.runs.stages.Stage`.
        epochs: how many were run.
        best_epoch: the one that was kept, from 1; 0 for none.
        validation_loss: of it, nats; None where no epoch had a finite loss.
        seconds: wall time.
        heads: how many heads were trained at once; None outside the bank.
        chosen: the best of them.
        temperature: that the logits were divided by, of a fine-tuning stage.
        trained: names of the blocks that it trained.
        share: of the way from the frozen to the fine-tuned weights that the fine-tuned model has; None without
            fine-tuning, and in runs of earlier versions, which went all of it.
        kept: whether the fine-tuned model was kept.
        compared: part -> the fine-tuned model (first) against the frozen one; validation chose the epoch of the first.
        recipe: that it was trained by, derived values filled in; None in runs of earlier versions.
    """

    name: str
    unfreeze: str
    epochs: NonNegativeInt
    best_epoch: NonNegativeInt
    validation_loss: NonNegativeFloat | None
    seconds: NonNegativeFloat
    heads: PositiveInt | None = None
    chosen: ChosenHead | None = None
    temperature: NonNegativeFloat | None = None
    trained: tuple[str, ...] = ()
    share: NonNegativeFloat | None = None
    kept: bool | None = None
    compared: dict[Split, ModelComparison] = field(default_factory=dict)
    recipe: StageRecipe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How a saved model agrees with the probabilities that its scores are from, on a few images.

    Attributes:
        images: how many were compared.
        top1_agreement: share of them with the same most probable class.
        max_difference: greatest difference of a probability.
    """

    images: PositiveInt
    top1_agreement: Fraction
    max_difference: NonNegativeFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseRecord:
    """A frozen base of a joined model.

    Attributes:
        backbone_layer: name of the layer that it is in the joined model.
        pooling_layer: name of the layer that gives its features.
        backbone: its name.
        weights_sha256: hash of its weights.
        image_size: side of its input, pixels.
        pooling: how its feature map becomes a vector.
        engine: that its features are computed with.
        features: of which layers, as in `pipelines.runs.spec.HeadSpec`.
        mirror: whether they are averaged over the image and its mirror image.
    """

    backbone_layer: str
    pooling_layer: str
    backbone: str
    weights_sha256: str
    image_size: PositiveInt
    pooling: str
    engine: str = "auto"
    features: str = "last"
    mirror: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a run without loading its model.

    Attributes:
        class_names: in the order of the model's outputs; fixed here, once.
        image_size: side of the square input, pixels.
        backbone: which, and where its weights came from.
        head: which.
        spec: what was asked for, defaults filled in.
        data: which images.
        metrics: part -> scores.
        stages: of the training, in order.
        notes: what was done otherwise than asked or expected, in words.
        seconds: phase -> wall time.
        versions: of headstart, Python, Keras, TensorFlow, numpy.
        features: how many were cached and computed; None where every epoch ran the whole network.
        engine: that computed them.
        agreement: of the saved model with the cached features.
        bank: the heads that were tried, the best first.
        cross_validation: that chose the head; None where the validation part alone did.
        boost_weight: that boosting gave a member before 2026-11-24; None since, for their outputs are added.
        members: of an ensemble; empty for a single model.
        leaderboard: of an ensemble.
        bases: of an ensemble that stands on frozen bases alone.
        order: names of the members in the joined model, in its order.
        missing: name of a member that the ensemble was to have, and that could not be trained -> why.
        fit: how an image is fitted to the square input.
        schema: version of this file's layout.
    """

    class_names: tuple[str, ...]
    image_size: PositiveInt
    backbone: BackboneRecord
    head: HeadRecord
    spec: RunRequest
    data: DataRecord
    metrics: dict[Split, Report]
    stages: tuple[StageRecord, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: dict[str, NonNegativeFloat] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    features: FeatureRecord | None = None
    engine: EngineChoice | None = None
    agreement: Agreement | None = None
    bank: tuple[HeadTrial, ...] = ()
    cross_validation: CrossValidationRecord | None = None
    boost_weight: float | None = None
    members: tuple[MemberRow, ...] = ()
    leaderboard: Leaderboard | None = None
    bases: tuple[BaseRecord, ...] = ()
    order: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    fit: Fit = "squash"
    schema: Literal[2] = SCHEMA

    @property
    def square(self) -> Square:
        """The square that the model is given of every image."""
        return Square(size=self.image_size, fit=self.fit)

    @property
    def engine_asked(self) -> str:
        """The engine that was asked for; `auto` for an ensemble."""
        return self.spec.train.network.engine if self.spec.train else "auto"
