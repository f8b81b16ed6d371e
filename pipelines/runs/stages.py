"""Records of a training stage and of the recipe for its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.runs.spec import Optimizer, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of training: what may change, for how long, how fast.

    Attributes:
        name: `head`, `fine-tune`, `from scratch`, or `layer-wise` for one block of a greedy training.
        unfreeze: `none` (the head alone), `all`, a number of blocks from the top, or the name of the lowest block.
        epochs: at most; early stopping ends it before.
        learning_rate: the first, or the greatest after a warm-up; the recipe's schedule lowers it.
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
        schedule: `plateau` divides the rate by 10 where the validation loss stops falling, `cosine` lets it fall along
            half a cosine over the stage's epochs.
        warm_up: epochs over which the rate rises from nothing.
        patience: epochs without a better validation loss before the stage stops.
        layer_decay: factor on the rate from each block to the one below, in (0, 1].
        weight_decay: on kernels only, in the gradient of `sgd` and decoupled from it in the others; None for the
            rule's own.
        momentum: of `sgd`, in [0, 1).
        clip: greatest global norm of the gradients; None for any.
        label_smoothing: share of each label that is spread over all classes, in [0, 1).
        ema: momentum of a moving average of the weights, which is evaluated and kept; 0 for none.
        precision: `auto` is half precision on a GPU that computes in it, and float32 elsewhere.
        calibrate: whether an epoch's loss is taken at the temperature that suits its predictions best. Otherwise an
            epoch with more correct, but overconfident predictions counts as worse.
    """

    optimizer: Optimizer = "adam"
    schedule: Literal["plateau", "cosine"] = "plateau"
    warm_up: float = 0.0
    patience: int = 8
    layer_decay: float = 1.0
    weight_decay: float | None = None
    momentum: float = 0.9
    clip: float | None = None
    label_smoothing: float = 0.0
    ema: float = 0.0
    precision: Precision = "auto"
    calibrate: bool = False
