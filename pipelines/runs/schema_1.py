"""Turns a manifest of schema 1 (headstart 0.1.0 before 2026-11-24) into one of schema 2, as plain data."""

from __future__ import annotations

from typing import Any, TypeAlias

Values: TypeAlias = dict[str, Any]  # plain JSON, not checked yet: the record that it becomes checks it

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


def upgraded(values: Values) -> Values:
    """The same manifest in schema 2.

    Raises:
        KeyError, TypeError, AttributeError: it is not a manifest of schema 1.
    """
    extra = values["extra"]
    leaderboard = extra.get("leaderboard")
    features, engine, agreement = (extra.get(name) for name in ("features", "engine", "agreement"))
    return {
        **{name: value for name, value in values.items() if name != "extra"},
        "schema": 2,
        "spec": request(values["spec"]),
        "stages": [_stage(stage) for stage in values["stages"]],
        # Runs that streamed their pixels had a sentence here.
        "features": features if isinstance(features, dict) else None,
        "engine": engine,
        "agreement": agreement or None,
        "bank": extra.get("bank", []),
        "boost_weight": extra["boost"]["weight"] if "boost" in extra else None,
        "leaderboard": _leaderboard(leaderboard) if leaderboard else None,
        "bases": extra.get("bases", []),
        "order": extra.get("order", []),
    }


def request(spec: Values) -> Values:
    """What was asked for: of a single training, of an ensemble's members, or of runs that were combined."""
    if "common" in spec:
        return {"members": {**spec, "common": training(spec["common"])}}
    if "runs" in spec:
        return {"ensemble": spec}
    return {"train": training(spec)}


def training(options: Values) -> Values:
    """The options of one training, panel by panel."""
    pairs = {
        panel: [(field, field) if isinstance(field, str) else field for field in fields]
        for panel, fields in _PANELS.items()
    }
    nested = {panel: {new: options[old] for old, new in fields if old in options} for panel, fields in pairs.items()}
    return {"out": options["out"], **nested}


def _stage(stage: Values) -> Values:
    compared = stage.get("compared", {})
    return {**stage, "compared": {part: _model_comparison(part, sides) for part, sides in compared.items()}}


def _model_comparison(part: str, sides: Values) -> Values:
    """Fine-tuned (first) against frozen; schema 1 did not keep how many images there were."""
    return {
        score: {
            "score": score,
            "first": "fine-tuned",
            "second": "frozen",
            "part": part,
            "images": 0,
            "means": [sides["after"][score], sides["before"][score]],
            **sides[score],
        }
        for score in ("accuracy", "log_loss")
    }


def _leaderboard(leaderboard: Values) -> Values:
    verdict = leaderboard["verdict"]
    ms, best_ms = verdict["ms"]
    common = {name: verdict[name] for name in ("part", "images")} | {"first": "ensemble", "second": verdict["best"]}
    loss, best_loss = verdict["log_loss"]
    comparison = {
        "accuracy": {"score": "accuracy", "means": verdict["accuracy"], **common, **verdict["difference"]},
        # Schema 1 kept no interval of this difference: an unbounded one says that it is not known.
        "log_loss": {
            "score": "log_loss",
            "means": [loss, best_loss],
            **common,
            "value": loss - best_loss,
            "interval": [float("-inf"), float("inf")],
        },
    }
    gain = {"comparison": comparison, "ms": ms, "best_ms": best_ms}
    return {**{name: value for name, value in leaderboard.items() if name != "verdict"}, "gain": gain}
