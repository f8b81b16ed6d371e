"""Turns a manifest of schema 1 (headstart 0.1.0 before 2026-11-24) into one of schema 2, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipelines.runs.report import Interval
from pipelines.system.records import as_record

Values: TypeAlias = dict[str, Any]  # plain JSON: the record that it becomes checks it

# Options of a training lay side by side in schema 1: panel -> its fields there, or (field there, field here).
_PANELS: dict[str, tuple[str | tuple[str, str], ...]] = {
    "network": ("backbone", "weights", "image_size", "engine"),
    "head": (("head", "name"), "pooling", "hidden", "dropout", "l2", "heads"),
    "data": (("data", "path"), "augment", "no_flip", "rotate90", "no_color", "views", "cache", "strict"),
    "fit": (
        "class_weights",
        "optimizer",
        "learning_rate",
        "epochs",
        "patience",
        "batch",
        "weight_decay",
        "precision",
        "seed",
    ),
    "fine_tune": (
        ("fine_tune", "blocks"),
        "layer_decay",
        "warm_up",
        "clip",
        "label_smoothing",
        "ema",
        "train_bn",
        "tensorboard",
        "layerwise",
    ),
}
# An interval that schema 1 did not keep: an unbounded one says that it is not known.
_UNKNOWN = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    value: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    accuracy: float
    log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The fine-tuned model (after) less the frozen one (before)."""

    before: _Means
    after: _Means
    accuracy: _Difference
    log_loss: _Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    compared: dict[str, _Compared] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """The ensemble, then its best member."""

    part: str
    images: int
    best: str
    accuracy: tuple[float, float]
    log_loss: tuple[float, float]
    ms: tuple[float, float]
    difference: _Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaderboard:
    verdict: _Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boost:
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    leaderboard: _Leaderboard | None = None
    boost: _Boost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    """What changed since, of a manifest of schema 1."""

    spec: Values
    metrics: dict[str, _Scores]
    stages: tuple[_Stage, ...]
    extra: _Extra = field(default_factory=_Extra)


def upgraded(values: Values) -> Values:
    """The same manifest in schema 2.

    Raises:
        DamagedRecord: it is not a manifest of schema 1.
    """
    manifest = as_record(values, _Manifest)
    extra = values.get("extra", {})
    images = {part: scores.images for part, scores in manifest.metrics.items()}
    stages = [
        {**plain, "compared": {part: _models(part, images, sides) for part, sides in stage.compared.items()}}
        for plain, stage in zip(values["stages"], manifest.stages, strict=True)
    ]
    # Runs that streamed their pixels had a sentence in place of the features.
    features = extra.get("features")
    leaderboard, boost = manifest.extra.leaderboard, manifest.extra.boost
    return {
        **{name: value for name, value in values.items() if name != "extra"},
        "schema": 2,
        "spec": request(manifest.spec),
        "stages": stages,
        "features": None if isinstance(features, str) else features,
        "engine": extra.get("engine"),
        "agreement": extra.get("agreement") or None,  # {} where nothing could be compared
        "bank": extra.get("bank", []),
        "boost_weight": boost and boost.weight,
        "leaderboard": leaderboard and {**extra["leaderboard"], "gain": _gain(leaderboard.verdict)},
        "bases": extra.get("bases", []),
        "order": extra.get("order", []),
    }


def request(spec: Values) -> Values:
    """What was asked for: of a single training, of an ensemble's members, or of runs that were combined."""
    if "common" in spec:
        common = spec["common"]
        return {"members": {**spec, "common": _training(common) if isinstance(common, dict) else common}}
    if "runs" in spec:
        return {"ensemble": spec}
    return {"train": _training(spec)}


def _training(options: Values) -> Values:
    """The options of one training, panel by panel."""
    panels: Values = {}
    for panel, fields in _PANELS.items():
        pairs = [(name, name) if isinstance(name, str) else name for name in fields]
        panels[panel] = {new: options[old] for old, new in pairs if old in options}
    return panels | {name: options[name] for name in ("out",) if name in options}


def _models(part: str, images: dict[str, int], sides: _Compared) -> Values:
    """The fine-tuned model (first) against the frozen one."""
    common = {"first": "fine-tuned", "second": "frozen", "part": part, "images": images.get(part, 0)}
    accuracy = (sides.after.accuracy, sides.before.accuracy)
    log_loss = (sides.after.log_loss, sides.before.log_loss)
    return {
        "accuracy": {"score": "accuracy", **common, "means": accuracy, **_plain(sides.accuracy)},
        "log_loss": {"score": "log_loss", **common, "means": log_loss, **_plain(sides.log_loss)},
    }


def _gain(verdict: _Verdict) -> Values:
    """The ensemble (first) against its best member."""
    common = {"first": "ensemble", "second": verdict.best, "part": verdict.part, "images": verdict.images}
    loss, best_loss = verdict.log_loss
    difference = _Difference(value=loss - best_loss, interval=_UNKNOWN)
    comparison = {
        "accuracy": {"score": "accuracy", **common, "means": verdict.accuracy, **_plain(verdict.difference)},
        "log_loss": {"score": "log_loss", **common, "means": verdict.log_loss, **_plain(difference)},
    }
    return {"comparison": comparison, "ms": verdict.ms[0], "best_ms": verdict.ms[1]}


def _plain(difference: _Difference) -> Values:
    return {"value": difference.value, "interval": difference.interval}
