"""Decides what a training does before TensorFlow is imported: looks names up, lists stages, refuses contradictions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.blocks import find_lowest_trained
from models.errors import UserError, lookup
from models.heads import HEADS, Head
from pipelines.images.policies import find_policy
from pipelines.images.policy import Policy, Switches
from pipelines.runs.layout import STATE_FOLDER
from pipelines.runs.square import Square
from pipelines.runs.stages import Stage
from pipelines.training.backbone import find_backbone
from pipelines.training.feature_refusals import refuse_levels, refuse_mirror

if TYPE_CHECKING:
    import keras

    from models.arrays import Weights
    from models.engines.records import EngineChoice
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.cross_validation_record import CrossValidationRecord, FeatureLayers
    from pipelines.runs.examples import Dataset, Example, Split
    from pipelines.runs.feature_records import FeatureRecord
    from pipelines.runs.folder import DrawPage
    from pipelines.runs.manifest import Agreement, BackboneRecord, StageRecord
    from pipelines.runs.spec import DataSpec, TrainSpec
    from pipelines.runs.training_records import EpochRecord, HeadTrial
    from pipelines.system.progress import Reporter
    from pipelines.training.backbone import BackboneSource

HEAD_EPOCHS = 60
NETWORK_EPOCHS = 40
FINE_TUNE_EPOCHS = 15
LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingNames:
    """The records that the names in a spec stand for; looked up once, by `look_up_names`."""

    head: Head
    source: BackboneSource
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What every stage of one training shares.

    Attributes:
        spec: the options.
        names: the records that its names stand for.
        dataset: the images, checked and divided.
        folder: of the run.
        reporter: shows progress.
        image_weights: (images of the training part,) of mean 1, how often each is seen in an epoch; None for once.
        draw: draws the page of the run; None for no page.
        is_fold: whether the validation part is a fold, which other members are trained on.
    """

    spec: TrainSpec
    names: TrainingNames
    dataset: Dataset
    folder: Path
    reporter: Reporter
    image_weights: Weights | None = None
    draw: DrawPage | None = None
    is_fold: bool = False

    @property
    def state(self) -> Path:
        """Where an unfinished training keeps its checkpoints."""
        return self.folder / STATE_FOLDER

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.dataset.class_names)

    def square(self, size: int) -> Square:
        """What a network whose input has sides of `size` pixels sees of every image."""
        return Square(size=size, fit=self.spec.network.image_fit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Predictions of images by models that were not fitted to them.

    Attributes:
        predictions: probabilities (images, classes) and labels (images,).
        examples: the images, in that order.
    """

    predictions: Predictions
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingHead:
    """The weights of the chosen head, fitted to the training part alone, and its predictions of the validation part."""

    weights: list[Weights]
    predictions: Predictions


@dataclass(slots=True, kw_only=True)
class TrainingResult:
    """A trained model, and what run.json needs of its training.

    Attributes:
        model: pixels -> probabilities.
        predictions: part -> probabilities (images, classes) and labels (images,), of validation and test.
        judged: the images of the validation predictions; None for the validation part.
        out_of_fold: of training images, beside a given validation part; None without.
        history: one record an epoch.
        stages: one record a stage.
        backbone: for the manifest.
        notes: what was done otherwise than asked or expected.
        features: where the features came from; None without cached features.
        engine: that computed them; None without cached features.
        agreement: of the model with new features; None where none were computed.
        bank: the heads that were tried, the best first.
        feature_layers: of which layers the head's features are.
        cross_validation: that chose the head; None where the validation part alone did.
        training_head: where the model's was fitted to validation images too, and is to be fine-tuned; else None.
    """

    model: keras.Model
    predictions: dict[Split, Predictions]
    history: list[EpochRecord]
    stages: list[StageRecord]
    backbone: BackboneRecord
    notes: list[str] = field(default_factory=list)
    features: FeatureRecord | None = None
    engine: EngineChoice | None = None
    agreement: Agreement | None = None
    bank: tuple[HeadTrial, ...] = ()
    judged: tuple[Example, ...] | None = None
    out_of_fold: HeldOut | None = None
    feature_layers: FeatureLayers = "last"
    cross_validation: CrossValidationRecord | None = None
    training_head: TrainingHead | None = None


def look_up_names(spec: TrainSpec) -> TrainingNames:
    """Find what the names in a spec stand for, and refuse options that do not go together.

    Raises:
        UserError: a name is unknown, the engine cannot run here, or two options contradict each other.
    """
    network = spec.network
    head, source = _find_head(spec), find_backbone(network, spec.conv, spec.head.pooling)
    names = TrainingNames(head=head, source=source, policy=find_policy(spec.data.augment, switches_of(spec.data)))
    _refuse_contradictions(spec, names)
    return names


def switches_of(data: DataSpec) -> Switches:
    """The switches that hold for the user's images, whatever the augmentation policy."""
    return Switches(no_flip=data.no_flip, rotate90=data.rotate90, no_color=data.no_color)


def list_stages(spec: TrainSpec, *, is_untrained: bool) -> tuple[Stage, ...]:
    """The stages that a spec asks for, in order."""
    epochs, rate, blocks = spec.fit.epochs, spec.fit.learning_rate or LEARNING_RATE, spec.fine_tune.blocks
    if is_untrained:
        return (Stage(name="from scratch", unfreeze="all", epochs=epochs or NETWORK_EPOCHS, learning_rate=rate),)
    head = Stage(name="head", unfreeze="none", epochs=epochs or HEAD_EPOCHS, learning_rate=rate)
    if blocks is None:
        return (head,)
    top = Stage(name="fine-tune", unfreeze=blocks, epochs=epochs or FINE_TUNE_EPOCHS, learning_rate=rate / 10)
    return head, top


def class_weights(dataset: Dataset, policy: str) -> Weights | None:
    """Weights (classes,) that make every class count alike in training, of mean 1 over the images; None for `none`."""
    if policy == "none":
        return None
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.asarray([example.label for example in dataset.part("train")])
    classes = np.arange(len(dataset.class_names))
    return np.asarray(compute_class_weight("balanced", classes=classes, y=labels), np.float32)


def _find_head(options: TrainSpec) -> Head:
    spec = options.head
    head = replace(lookup(HEADS, spec.name, "head"), init=options.fit.init)
    if spec.hidden is None:
        return head
    if not head.hidden:
        raise UserError(f"the head `{head.name}` has no hidden layer", "use --head mlp with --hidden")
    return replace(head, hidden=spec.hidden)


def _refuse_contradictions(spec: TrainSpec, names: TrainingNames) -> None:
    source = names.source
    _require_engine(spec, source)
    refuse_levels(spec, source)
    refuse_mirror(spec, source)
    if source.is_untrained and spec.fine_tune.blocks is not None:
        raise UserError(
            f"`{source.name}` starts from random weights: there is nothing to fine-tune",
            "omit --fine-tune: every layer is trained",
        )
    if spec.fine_tune.blocks is not None and spec.fine_tune.blocks.strip("0") == "":
        raise UserError(
            f"`--fine-tune {spec.fine_tune.blocks}` trains no block",
            "give a number from 1, `all` or the name of a block",
        )
    if spec.fine_tune.blocks is not None and (listed := source.block_names()):
        find_lowest_trained(listed, spec.fine_tune.blocks)
    if spec.fine_tune.layerwise and not source.is_untrained:
        raise UserError(
            f"`{source.name}` is pretrained: --layerwise is for networks that are trained from scratch",
            "add --weights none, or omit --layerwise",
        )
    if spec.data.views is not None and spec.data.views > 1 and not names.policy.steps:
        raise UserError("several views of an image need an augmentation policy", "add --augment light, or omit --views")


def _require_engine(spec: TrainSpec, source: BackboneSource) -> None:
    """Refuse an engine that cannot run here, where features are extracted.

    Only `gpu` imports TensorFlow for that, and only where a GPU's driver is.
    """
    from models.engines.table import ENGINES, require

    engine = lookup({"auto": None, **ENGINES}, spec.network.engine, "engine")
    if engine is not None and spec.data.cache and not source.is_untrained:
        require(engine)
