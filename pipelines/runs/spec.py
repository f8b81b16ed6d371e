"""Options of a training: one record for each panel of `headstart train --help` (no NumPy, no Keras)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from models.recommended import DEFAULT_BACKBONE
from pipelines.runs.ranges import Factor, NonNegativeFloat, NonNegativeInt, PositiveInt, Rate
from pipelines.runs.square import Fit

Optimizer: TypeAlias = Literal["adam", "adamw", "sgd"]
Precision: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
Pooling: TypeAlias = Literal["avg", "max", "flatten", "fc6", "fc7"]
FeatureSet: TypeAlias = Literal["auto", "last", "levels"]
Activation: TypeAlias = Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid", "linear"]
Init: TypeAlias = Literal["gaussian", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "orthogonal"]
Validation: TypeAlias = Literal["auto", "hold-out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Which network is trained.

    Attributes:
        backbone: a name of the table, `conv:FILTERS` for a small network, a run's folder, or a `.keras` file.
        weights: `imagenet`, `none` (random: every layer is trained), or a weights file.
        image_size: side of the square input, pixels; None for the backbone's own.
        fit: how an image is fitted to it, as in `pipelines.runs.square.Square`; None for as in the run that the
            backbone is of, and squash without one. A verb puts the answer in place of None.
        engine: the compiled form of the frozen base that computes features, or `auto` to measure and take the fastest.
    """

    backbone: str = DEFAULT_BACKBONE
    weights: str = "imagenet"
    image_size: PositiveInt | None = None
    fit: Fit | None = None
    engine: str = "auto"

    @property
    def image_fit(self) -> Fit:
        """How an image is fitted to the square."""
        return self.fit or "squash"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec:
    """The layers of a small network `conv:FILTERS`; None for the defaults of `models.conv_network.ConvNetwork`.

    Attributes:
        kernel: side of the kernels, pixels.
        activation: after every layer.
        dense: units of the fully connected layers, such as `50` or `120,84`.
        channels: of its input: 1 for grey, 3 for colours.
    """

    kernel: PositiveInt | None = None
    activation: Activation | None = None
    dense: str | None = None
    channels: Literal[1, 3] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec:
    """Which head is put on the backbone.

    Attributes:
        name: of `models.heads.HEADS`.
        pooling: how a feature map becomes a vector; `fc6` and `fc7` are a network's own fully connected layers.
        features: the last layer's output, or with it the averaged activations of the blocks below; `auto` chooses.
        mirror: whether features are averaged over an image and its mirror image, in training and in the model.
        hidden: units of an `mlp` head's hidden layer; None for the head's own.
        dropout: rate in [0, 1); None to try several.
        l2: strength of the penalty on the head's weights; None to try several.
        heads: how many heads are tried on cached features, at most.
    """

    name: str = "linear"
    pooling: Pooling = "avg"
    features: FeatureSet = "auto"
    mirror: bool = False
    hidden: PositiveInt | None = None
    dropout: Rate | None = None
    l2: NonNegativeFloat | None = None
    heads: PositiveInt = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which images the network is trained on, and in which views.

    Attributes:
        path: a folder, a CSV file or `tfds:NAME[:VERSION]`.
        augment: name of an augmentation policy, or a TOML file.
        no_flip: never mirror.
        rotate90: turn by quarters too.
        no_color: leave colours alone.
        views: views of each image in the feature cache; None for what suits the policy.
        cache: whether a frozen base runs once (True) or in every epoch on fresh views (False).
        strict: whether an unreadable image is an error.
    """

    path: str
    augment: str = "none"
    no_flip: bool = False
    rotate90: bool = False
    no_color: bool = False
    views: PositiveInt | None = None
    cache: bool = True
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """How weights are fitted, in every stage.

    Attributes:
        validation: `auto` chooses the head by cross-validation and then fits it to the validation images too;
            `hold-out` chooses by the validation part, which stays out of the fit.
        class_weights: `auto` gives every class the same weight, `none` every image.
        optimizer: None for that of the network where it is trained from scratch, and Adam elsewhere.
        learning_rate: the first, of which fine-tuning takes a tenth; None to try several (a bank of heads) or to
            derive it.
        epochs: at most; None for what suits the stage.
        patience: epochs without a better validation loss before training stops.
        batch: images a step where a network is trained; None for the network's own where it is trained from scratch,
            and 32 elsewhere.
        weight_decay: on kernels only, where a network is trained; None for the network's or the optimizer's own.
        init: distribution of the initial weights of a head with a hidden layer, and of a network from scratch; None for
            their own.
        momentum: of `sgd`, where a network is trained; None for 0.9.
        precision: what a network is trained in; `auto` is half precision on a GPU that computes in it.
        seed: of everything that is drawn.
    """

    validation: Validation = "auto"
    class_weights: Literal["auto", "none"] = "none"
    optimizer: Optimizer | None = None
    learning_rate: NonNegativeFloat | None = None
    epochs: PositiveInt | None = None
    patience: PositiveInt = 8
    batch: PositiveInt | None = None
    weight_decay: NonNegativeFloat | None = None
    init: Init | None = None
    momentum: Rate | None = None
    precision: Precision = "auto"
    seed: NonNegativeInt = 0

    @property
    def rule(self) -> Optimizer:
        """The optimizer: Adam where nothing else is asked for."""
        return self.optimizer or "adam"

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return self.batch or 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneSpec:
    """How the layers of a network are trained, after the head or from scratch.

    Attributes:
        blocks: to unfreeze after the head, as in `pipelines.runs.stages.Stage.unfreeze`; None for none.
        layer_decay: factor on the learning rate from each block to the one below, in (0, 1].
        warm_up: epochs over which fine-tuning's learning rate rises.
        clip: greatest norm of all gradients of a step together in fine-tuning; 0 for any.
        label_smoothing: share of each label that is spread over all classes.
        ema: momentum of a moving average of the weights; 0 for none.
        train_bn: whether BatchNormalization in fine-tuned blocks is trained, and its statistics move.
        tensorboard: whether events for TensorBoard are written into the run.
        layerwise: whether a network from scratch is trained block by block first.
    """

    blocks: str | None = None
    layer_decay: Factor = 0.8
    warm_up: NonNegativeFloat = 1.0
    clip: NonNegativeFloat = 1.0
    label_smoothing: Rate = 0.0
    ema: Rate = 0.0
    train_bn: bool = False
    tensorboard: bool = False
    layerwise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """Options of one training; the defaults are the recommendation.

    Attributes:
        out: the run's folder.
        data: which images, and in which views.
        network: which backbone.
        conv: the layers of a small network.
        head: what is put on it.
        fit: how weights are fitted.
        fine_tune: how the backbone's layers are trained, where they are.
    """

    out: str
    data: DataSpec
    network: NetworkSpec = field(default=NetworkSpec())
    conv: ConvSpec = field(default=ConvSpec())
    head: HeadSpec = field(default=HeadSpec())
    fit: FitSpec = field(default=FitSpec())
    fine_tune: FineTuneSpec = field(default=FineTuneSpec())
