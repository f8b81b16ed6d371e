"""Names the options that change nothing in the training they are given to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from models.conv_network import PREFIX
from models.heads import HEADS

if TYPE_CHECKING:
    from pipelines.runs.spec import TrainSpec

# Panel of the spec -> its options that only one kind of stage reads.
_FINE_TUNING = {"fine_tune": ("layer_decay", "warm_up", "clip", "train_bn")}
_NETWORKS = {
    "fit": ("batch", "patience", "weight_decay", "momentum", "precision"),
    "fine_tune": ("label_smoothing", "ema", "tensorboard"),
}
_FEATURES = {"head": ("heads", "l2"), "data": ("views",), "network": ("engine",)}
_SMALL_NETWORK = {"conv": ("kernel", "activation", "dense", "channels")}
_RESTRICTIONS = {"data": ("no_flip", "no_color")}
_AUGMENTATION = {"data": ("augment", "rotate90")}


def options_without_effect(spec: TrainSpec, *, is_untrained: bool) -> list[str]:
    """One line for each group of options that were given and that no stage of this training reads.

    Args:
        spec: what is asked for.
        is_untrained: whether the network starts from random weights, so that all its layers are trained.
    """
    uses_features = spec.data.cache and not is_untrained
    fine_tunes = spec.fine_tune.blocks is not None
    lines = []
    if spec.data.augment == "none":
        lines.append(_line(_given(spec, _RESTRICTIONS), "images are not augmented without --augment POLICY"))
    if not fine_tunes:
        lines.append(_line(_given(spec, _FINE_TUNING), "no blocks are fine-tuned without --fine-tune BLOCKS"))
    if uses_features and not fine_tunes:
        reason = "only heads are trained, on cached features, not a network by --fine-tune, --no-cache or from scratch"
        lines.append(_line(_given(spec, _NETWORKS), reason))
        if spec.data.views == 1:
            lines.append(_line(_given(spec, _AUGMENTATION), "--views 1 caches the clean image alone"))
    if not uses_features:
        lines.append(_line(_given(spec, _FEATURES), "no features are cached in this training"))
    if uses_features and not HEADS[spec.head.name].hidden:
        lines.append(_line(_given(spec, {"fit": ("init",)}), "a linear head starts at zero"))
    if not spec.network.backbone.startswith(PREFIX):
        lines.append(_line(_given(spec, _SMALL_NETWORK), f"only --backbone {PREFIX}FILTERS lists its layers"))
    # A network from scratch without --optimizer may have one of its own.
    if (fine_tunes or not uses_features) and (spec.fit.optimizer or ("sgd" if is_untrained else "adam")) != "sgd":
        lines.append(_line(_given(spec, {"fit": ("momentum",)}), "only --optimizer sgd has one"))
    return [line for line in lines if line]


def _given(spec: TrainSpec, panels: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The flags of those options that differ from their defaults."""
    flags = []
    for panel, names in panels.items():
        record = getattr(spec, panel)
        defaults = {field.name: field.default for field in fields(record)}
        flags += [f"--{name.replace('_', '-')}" for name in names if getattr(record, name) != defaults[name]]
    return flags


def _line(options: list[str], reason: str) -> str:
    return f"{', '.join(options)}: without effect, {reason}" if options else ""
