"""Reads an augmentation policy from a TOML file.

views = 6                       # views of each image in the feature cache
mixup = 0.2                     # optional: alpha of mixup, of cutmix; where the whole network is trained
[[step]]
layer = "RandomRotation"        # a name of LAYERS; the rest are the layer's own arguments
factor = 0.05
probability = 0.5               # optional: how often the step is taken
[[step]]
layer = "RandomResizedCrop"     # a random part, resized to the whole
area = [0.3, 1.0]               # fractions of the image
aspect_ratio = [0.75, 1.333]    # width to height
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeAlias

from models.errors import UserError, lookup
from pipelines.images.policy import LAYERS, Policy, PolicyStep

Value: TypeAlias = Any  # whatever TOML holds, until it is checked
KEYS = ("views", "mixup", "cutmix", "step")


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        UserError: the file cannot be read, is not TOML, or does not hold a policy; names the key.
    """
    values = _parse(path)
    unknown = sorted(set(values) - set(KEYS))
    steps = values.get("step", [])
    if unknown or not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        fact = f"has an unknown key `{unknown[0]}`" if unknown else "has no list of `[[step]]`"
        raise UserError(f"the policy file `{path}` {fact}", "its keys are views, mixup, cutmix and [[step]] tables")
    views = values.get("views", Policy().views)
    if not isinstance(views, int) or isinstance(views, bool) or views < 1:
        raise UserError(f"the policy file `{path}`: `views` must be a whole number from 1, got `{views}`")
    return Policy(
        name=str(path),
        steps=tuple(_read_step(path, number, step) for number, step in enumerate(steps, 1)),
        views=views,
        mixup=_number(path, "mixup", values.get("mixup", 0.0), 0.0, 100.0),
        cutmix=_number(path, "cutmix", values.get("cutmix", 0.0), 0.0, 100.0),
    )


def _parse(path: Path) -> dict[str, Value]:
    import tomllib  # here, because every help page imports this module

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "name an augmentation policy, or a TOML file that can be read"
        raise UserError(f"the policy file `{path}` cannot be read: {error.strerror}", hint) from error
    except (ValueError, RecursionError) as error:  # RecursionError: lists in lists in lists
        hint = "it has lines such as `views = 6`, and a `[[step]]` with `layer` for each step"
        raise UserError(f"the policy file `{path}` is not TOML: {error}", hint) from error


def _read_step(path: Path, number: int, values: dict[str, Value]) -> PolicyStep:
    arguments = dict(values)
    layer = arguments.pop("layer", None)
    if not isinstance(layer, str):
        raise UserError(
            f"the policy file `{path}`: step {number} has no `layer`", f"choose one of: {', '.join(LAYERS)}"
        )
    try:
        lookup(LAYERS, layer, "augmentation layer")
    except UserError as error:
        raise UserError(f"the policy file `{path}`: {error.message}", error.hint) from error
    probability = _number(path, "probability", arguments.pop("probability", 1.0), 0.0, 1.0)
    for key, value in arguments.items():
        # Keras takes them, and the pixels become NaN.
        if not _is_finite(value):
            raise UserError(f"the policy file `{path}`: `{key}` of `{layer}` must be finite, got `{value}`")
    return PolicyStep(layer=layer, arguments=arguments, probability=probability)


def _is_finite(value: Value) -> bool:
    """Whether no number in a value, or in its lists, is infinite or NaN."""
    if isinstance(value, list):
        return all(_is_finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def _number(path: Path, key: str, value: Value, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(f"the policy file `{path}`: `{key}` must be a number from {low:g} to {high:g}, got `{value}`")
    return float(value)
