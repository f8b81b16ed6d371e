"""What is asked for and what is found: the plain records every verb shares. Pure: no numpy, no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What computes the features of a frozen base; `auto` measures and takes the fastest.
ENGINES: tuple[str, ...] = ("auto", "keras", "tensorflow", "openvino")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of training: what may change, for how long, how fast.

    Attributes:
        name: `head`, `fine-tune`, `from scratch`, or `layer-wise` for one block of a greedy training.
        unfreeze: `none` (the head alone), `all`, a number of blocks from the top, or the name of the lowest block.
        epochs: at most; early stopping ends it before.
        learning_rate: the first; divided by 10 on a plateau.
    """

    name: Literal["head", "fine-tune", "from scratch", "layer-wise"]
    unfreeze: str
    epochs: int
    learning_rate: float

    @property
    def label(self) -> str:
        """Its name among the stages of one training."""
        return f"{self.name} {self.unfreeze}" if self.name == "layer-wise" else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How weights are stepped through a stage.

    Attributes:
        optimizer: the rule.
        schedule: `plateau` divides the rate by 10 where the validation loss stands still, `cosine` lets it fall along
            half a cosine over the stage's epochs.
        warm_up: epochs over which the rate rises from nothing.
        patience: epochs without a better validation loss before the stage stops.
        layer_decay: factor on the rate from each block to the one below, in (0, 1].
        weight_decay: on kernels only, in the gradient of `sgd` and decoupled from it in the others; None for the
            rule's own.
        clip: greatest global norm of the gradients; None for any.
        label_smoothing: share of each label that is spread over all classes, in [0, 1).
        ema: momentum of a moving average of the weights, which is what is judged and kept; 0 for none.
        precision: `auto` is half precision on a GPU that computes in it, and float32 elsewhere.
        calibrate: whether an epoch's loss is taken at the temperature that suits its answers best. Else an epoch that
            gets more images right, and is too sure of all of them, passes for worse.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    schedule: Literal["plateau", "cosine"] = "plateau"
    warm_up: float = 0.0
    patience: int = 8
    layer_decay: float = 1.0
    weight_decay: float | None = None
    clip: float | None = None
    label_smoothing: float = 0.0
    ema: float = 0.0
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    calibrate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """What one training is asked to do; the defaults are the recommendation.

    Attributes:
        data: a folder, a CSV file or `tfds:NAME[:VERSION]`.
        out: the run's folder.
        backbone: a name of the table, a run's folder, or a `.keras` file.
        weights: `imagenet`, `none`, or a weights file.
        image_size: side of the square input, pixels; None for the backbone's own.
        head: a name of `models.heads.HEADS`.
        pooling: how a feature map becomes a vector.
        hidden: units of an `mlp` head's hidden layer; None for its own.
        dropout: rate in [0, 1); None to try several.
        l2: strength of the penalty on the head's weights; None to try several.
        optimizer: the rule; None for that of the network where it is trained from scratch, and Adam elsewhere.
        learning_rate: the first; None to try several (a bank of heads) or to derive it.
        epochs: at most; None for what suits the stage.
        patience: epochs without a better validation loss before training stops.
        batch: images a step where the network is trained; None for the network's own where it is trained from scratch,
            and 32 elsewhere.
        class_weights: `auto` weighs every class alike, `none` every image.
        augment: name of a policy or a TOML file.
        no_flip: never mirror; rotate90: turn by quarters too; no_color: leave colours alone.
        views: views of each image in the feature cache; None for what suits the policy.
        cache: whether a frozen base runs once (True) or in every epoch on fresh views (False).
        engine: which compiled form of the frozen base computes features.
        heads: how many heads a bank tries at most.
        fine_tune: blocks to unfreeze after the head, as in `Stage.unfreeze`; None for none.
        layer_decay: factor on the rate from each block to the one below, where blocks are fine-tuned.
        warm_up: epochs over which fine-tuning's rate rises.
        weight_decay: on kernels only, where a network is trained; None for the network's or the rule's own.
        clip: greatest norm of all gradients together in fine-tuning; 0 for any.
        label_smoothing: share of each label that is spread over all classes, where a network is trained.
        ema: momentum of a moving average of the weights, likewise; 0 for none.
        precision: what a network is trained in; `auto` is half precision on a GPU that computes in it.
        train_bn: whether BatchNormalization in fine-tuned blocks learns too, and its statistics move.
        layerwise: whether a network that is trained from scratch learns block by block first.
        tensorboard: whether events for TensorBoard are written beside the run.
        seed: of everything that is drawn.
        strict: whether an unreadable image is an error.
    """

    data: str
    out: str
    backbone: str = "resnet50"
    weights: str = "imagenet"
    image_size: int | None = None
    head: str = "linear"
    pooling: Literal["avg", "max", "flatten"] = "avg"
    hidden: int | None = None
    dropout: float | None = None
    l2: float | None = None
    optimizer: Literal["adam", "adamw", "sgd"] | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    patience: int = 8
    batch: int | None = None
    class_weights: Literal["auto", "none"] = "none"
    augment: str = "none"
    no_flip: bool = False
    rotate90: bool = False
    no_color: bool = False
    views: int | None = None
    cache: bool = True
    engine: str = "auto"
    heads: int = 16
    fine_tune: str | None = None
    layer_decay: float = 0.8
    warm_up: float = 1.0
    weight_decay: float | None = None
    clip: float = 1.0
    label_smoothing: float = 0.0
    ema: float = 0.0
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    train_bn: bool = False
    layerwise: bool = False
    tensorboard: bool = False
    seed: int = 0
    strict: bool = False

    @property
    def rule(self) -> Literal["adam", "adamw", "sgd"]:
        """The optimizer, where nothing else was asked for Adam."""
        return self.optimizer or "adam"

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return self.batch or 32
