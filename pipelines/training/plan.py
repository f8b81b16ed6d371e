"""What a training does: the plan that its stages share, and the checks of it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError, lookup
from models.heads import HEADS, Head
from pipelines.images.policies import find_policy
from pipelines.runs.examples import Dataset
from pipelines.runs.manifest import STATE_FOLDER
from pipelines.runs.spec import ENGINES, Stage, TrainSpec
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.training.backbone import BackboneSource

HEAD_EPOCHS = 60
NETWORK_EPOCHS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What every stage of one training shares."""

    spec: TrainSpec
    head: Head
    source: BackboneSource
    dataset: Dataset
    folder: Path
    reporter: Reporter

    @property
    def state(self) -> Path:
        """Where an unfinished training keeps what it needs to go on."""
        return self.folder / STATE_FOLDER


@dataclass(slots=True, kw_only=True)
class TrainingResult:
    """What training gives: the model, its answers on the parts that judge it, and how it went."""

    model: keras.Model
    answers: dict[str, tuple[NDArray[np.float32], NDArray[np.int32]]]
    history: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    backbone: dict[str, Any]
    notes: list[str]
    extra: dict[str, Any]


def stages_of(spec: TrainSpec, *, untrained: bool) -> tuple[Stage, ...]:
    """The stages that a spec asks for, in order."""
    rate = spec.learning_rate
    if untrained:
        return (
            Stage(
                name="from scratch", unfreeze="all", epochs=spec.epochs or NETWORK_EPOCHS, learning_rate=rate or 1e-3
            ),
        )
    head = Stage(name="head", unfreeze="none", epochs=spec.epochs or HEAD_EPOCHS, learning_rate=rate or 1e-3)
    if spec.fine_tune is None:
        return (head,)
    return head, Stage(
        name="fine-tune", unfreeze=spec.fine_tune, epochs=spec.epochs or 15, learning_rate=(rate or 1e-3) / 10
    )


def class_weights(dataset: Dataset, policy: str) -> NDArray[np.float32] | None:
    """Weights (classes,) that make every class count alike in training, of mean 1 over the images; None for `none`."""
    if policy == "none":
        return None
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.asarray([each.label for each in dataset.part("train")])
    numbers = np.arange(len(dataset.class_names))
    return np.asarray(compute_class_weight("balanced", classes=numbers, y=labels), np.float32)


def head_of(spec: TrainSpec) -> Head:
    """The head that a spec asks for."""
    head = lookup(HEADS, spec.head, "head")
    if spec.hidden is not None:
        if not head.hidden:
            raise UserError(f"the head `{head.name}` has no hidden layer", "use --head mlp with --hidden")
        head = replace(head, hidden=spec.hidden)
    return head


def refuse_nonsense(spec: TrainSpec, source: BackboneSource) -> None:
    """Refuse options that do not go together."""
    lookup(dict.fromkeys(ENGINES), spec.engine, "engine")
    find_policy(spec.augment)
    if source.untrained and spec.fine_tune is not None:
        raise UserError(
            f"`{source.name}` starts from random weights: there is nothing to fine-tune",
            "leave --fine-tune away: every layer is trained",
        )
    if spec.layerwise and not source.untrained:
        raise UserError(
            f"`{source.name}` is pretrained: --layerwise is for networks that are trained from scratch",
            "add --weights none, or leave --layerwise away",
        )
    if spec.views is not None and spec.views > 1 and spec.augment == "none":
        raise UserError(
            "several views of an image need an augmentation policy", "add --augment light, or leave --views away"
        )


_FINE_TUNING = ("layer_decay", "warm_up", "clip", "train_bn")
_STEPS = ("batch", "patience", "weight_decay", "label_smoothing", "ema", "precision", "tensorboard")
_FEATURES = ("heads", "l2", "views", "engine")


def options_without_effect(spec: TrainSpec, *, untrained: bool) -> list[str]:
    """One line for each group of options that were given and are read by no stage of this training.

    Args:
        spec: what is asked for.
        untrained: whether the network starts from random weights, so that all its layers are trained.
    """
    features = spec.cache and not untrained
    lines = []
    if spec.fine_tune is None:
        lines.append(_line(_given(spec, _FINE_TUNING), "no blocks are fine-tuned without --fine-tune BLOCKS"))
    if features and spec.fine_tune is None:
        reason = "only heads are trained, on cached features, not a network by --fine-tune, --no-cache or from scratch"
        lines.append(_line(_given(spec, _STEPS), reason))
    if not features:
        lines.append(_line(_given(spec, _FEATURES), "no features are cached in this training"))
    return [line for line in lines if line]


def _given(spec: TrainSpec, names: tuple[str, ...]) -> list[str]:
    """Those that are not as they are when nothing is asked for."""
    usual = {field.name: field.default for field in fields(TrainSpec)}
    return [f"--{name.replace('_', '-')}" for name in names if getattr(spec, name) != usual[name]]


def _line(options: list[str], reason: str) -> str:
    return f"{', '.join(options)}: without effect, {reason}" if options else ""
