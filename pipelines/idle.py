"""Options that change nothing in the training they are given to: that is said, and kept in run.json."""

from __future__ import annotations

from dataclasses import fields

from pipelines.specs import TrainSpec

_FINE_TUNING = ("layer_decay", "warm_up", "clip", "train_bn")
_STEPS = ("batch", "patience", "weight_decay", "label_smoothing", "ema", "precision", "tensorboard")
_FEATURES = ("heads", "l2", "views", "engine")


def idle_options(spec: TrainSpec, *, untrained: bool) -> list[str]:
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
