"""Augmentation policies as data: which layers, in which order, how strong. Light: no Keras.

A policy is one entry of `POLICIES`, or a TOML file:

    views = 6                       # views of each image in the feature cache
    mixup = 0.2                     # optional: alpha of mixup, of cutmix; where the whole network is trained
    [[step]]
    layer = "RandomRotation"        # a name of LAYERS; the rest are the layer's own arguments
    factor = 0.05
    probability = 0.5               # optional: how often the step is taken
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.errors import UserError, lookup

# Part of the key of cached features: raise it when a policy gives other pixels than before.
AUGMENT_VERSION = 1
# name -> whether it moves pixels or changes colours. All but the last four are Keras' layers of that name; RandAugment
# and AugMix choose among Keras' layers for each image, which Keras' own two do not do inside tf.data.
LAYERS: dict[str, str] = {
    "RandomFlip": "geometry",
    "RandomRotation": "geometry",
    "RandomZoom": "geometry",
    "RandomTranslation": "geometry",
    "RandomShear": "geometry",
    "RandomPerspective": "geometry",
    "RandomElasticTransform": "geometry",
    "RandomBrightness": "colour",
    "RandomContrast": "colour",
    "RandomSaturation": "colour",
    "RandomHue": "colour",
    "RandomGrayscale": "colour",
    "RandomColorDegeneration": "colour",
    "RandomPosterization": "colour",
    "RandomInvert": "colour",
    "Solarization": "colour",
    "AutoContrast": "colour",
    "Equalization": "colour",
    "RandomSharpness": "texture",
    "RandomGaussianBlur": "texture",
    "RandomErasing": "texture",
    "GaussianNoise": "texture",
    "Rotate90": "geometry",
    "RandAugment": "mixed",
    "AugMix": "mixed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStep:
    """One layer of a policy.

    Attributes:
        layer: a name of `LAYERS`.
        arguments: of the layer; factors are fractions of the image or of the range, as Keras defines them.
        probability: how often it is applied, in (0, 1].
    """

    layer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    probability: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An augmentation policy.

    Attributes:
        steps: applied in this order to every view but the first.
        views: how many views of each image the feature cache holds unless asked otherwise; view 0 is the clean image.
        mixup: alpha of mixup, where the whole network is trained; 0 for none.
        cutmix: alpha of cutmix; with both, each batch takes one of them.
    """

    steps: tuple[PolicyStep, ...] = ()
    views: int = 4
    mixup: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What is known of the pictures, whatever the policy.

    Attributes:
        no_flip: left and right (or up and down) mean something: text, maps, hands.
        rotate90: there is no up: aerial pictures, microscopy.
        no_color: colours mean something: stains, ripeness, goods.
    """

    no_flip: bool = False
    rotate90: bool = False
    no_color: bool = False


def _step(layer: str, probability: float = 1.0, **arguments: Any) -> PolicyStep:
    return PolicyStep(layer=layer, arguments=arguments, probability=probability)


POLICIES: dict[str, Policy] = {
    "none": Policy(views=1),
    "light": Policy(
        views=4,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.03),
            _step("RandomZoom", height_factor=(-0.15, 0.05)),
        ),
    ),
    "medium": Policy(
        views=6,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.05),
            # Height and width drawn apart: a crop of another shape.
            _step("RandomZoom", height_factor=(-0.35, 0.05), width_factor=(-0.35, 0.05)),
            _step("RandomTranslation", height_factor=0.1, width_factor=0.1),
            _step("RandomShear", x_factor=0.05, y_factor=0.05),
            _step("RandomBrightness", factor=0.15),
            _step("RandomContrast", factor=0.2),
            _step("RandomSaturation", factor=(0.4, 0.6)),
        ),
    ),
    "strong": Policy(
        views=8,
        mixup=0.2,
        cutmix=1.0,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.08),
            _step("RandomZoom", height_factor=(-0.5, 0.1), width_factor=(-0.5, 0.1)),
            _step("RandomTranslation", height_factor=0.15, width_factor=0.15),
            _step("RandomShear", x_factor=0.1, y_factor=0.1),
            _step("RandomPerspective", probability=0.3, factor=1.0, scale=0.3),
            _step("RandAugment", probability=0.5, num_ops=1, factor=0.3),
            _step("RandomBrightness", factor=0.25),
            _step("RandomContrast", factor=0.3),
            _step("RandomSaturation", factor=(0.3, 0.65)),
            _step("RandomHue", probability=0.5, factor=0.05),
            _step("RandomGaussianBlur", probability=0.15, factor=1.0, kernel_size=5, sigma=1.0),
            _step("GaussianNoise", probability=0.25, stddev=8.0),
            _step("RandomErasing", probability=0.25, factor=1.0, scale=(0.02, 0.2)),
        ),
    ),
}


def find_policy(name: str, switches: Switches | None = None) -> Policy:
    """The policy that `name` means, with the switches applied.

    Args:
        name: of `POLICIES`, or a TOML file.
        switches: what is known of the pictures.

    Raises:
        UserError: there is no such policy, or the file does not hold one.
    """
    path = Path(name)
    if name in POLICIES:
        policy = POLICIES[name]
    elif path.suffix == ".toml" or path.is_file():
        policy = _read(path)
    else:
        policy = lookup(POLICIES, name, "augmentation policy")
    switches = switches or Switches()
    steps = [step for each in policy.steps if (step := _switched(each, switches))]
    if switches.rotate90:
        steps.insert(0, PolicyStep(layer="Rotate90"))
    return Policy(steps=tuple(steps), views=_views(policy, steps), mixup=policy.mixup, cutmix=policy.cutmix)


def default_views(name: str, switches: Switches | None = None) -> int:
    """How many views of each image suit a policy: 1 where nothing is augmented."""
    return find_policy(name, switches).views


def policy_digest(name: str, switches: Switches | None = None) -> str:
    """Hash of what a policy does to pixels, for the key of cached features; hexadecimal."""
    steps = [asdict(each) for each in find_policy(name, switches).steps]
    text = json.dumps([AUGMENT_VERSION, steps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _switched(step: PolicyStep, switches: Switches) -> PolicyStep | None:
    if switches.no_flip and step.layer == "RandomFlip":
        return None
    if switches.no_color:
        if LAYERS[step.layer] == "colour":
            return None
        if LAYERS[step.layer] == "mixed":
            return PolicyStep(
                layer=step.layer, arguments={**step.arguments, "color": False}, probability=step.probability
            )
    return step


def _views(policy: Policy, steps: list[PolicyStep]) -> int:
    if not steps:
        return 1
    return policy.views if policy.steps else Policy().views


def _read(path: Path) -> Policy:
    """A policy file."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the policy file `{path}` cannot be read: {error.strerror}", _CHOICES) from error
    except ValueError as error:
        raise UserError(f"the policy file `{path}` is not TOML: {error}", "see the example in README") from error
    wrong = set(values) - {"views", "mixup", "cutmix", "step"}
    steps = values.get("step", [])
    if wrong or not isinstance(steps, list) or not all(isinstance(each, dict) for each in steps):
        what = f"has an unknown key `{sorted(wrong)[0]}`" if wrong else "has no list of `[[step]]`"
        raise UserError(f"the policy file `{path}` {what}", "its keys are views, mixup, cutmix and [[step]] tables")
    views = values.get("views", Policy().views)
    if not isinstance(views, int) or isinstance(views, bool) or views < 1:
        raise UserError(f"the policy file `{path}`: `views` is a whole number from 1, not `{views}`")
    alphas = {key: _number(path, key, values.get(key, 0.0), 0.0, 100.0) for key in ("mixup", "cutmix")}
    return Policy(steps=tuple(_read_step(path, each) for each in steps), views=views, **alphas)


def _read_step(path: Path, values: dict[str, Any]) -> PolicyStep:
    arguments = dict(values)
    layer = arguments.pop("layer", None)
    if not isinstance(layer, str):
        raise UserError(f"the policy file `{path}` has a step without `layer`", f"choose one of: {', '.join(LAYERS)}")
    try:
        lookup(LAYERS, layer, "augmentation layer")
    except UserError as error:
        raise UserError(f"the policy file `{path}`: {error.message}", error.hint) from error
    probability = _number(path, "probability", arguments.pop("probability", 1.0), 0.0, 1.0)
    return PolicyStep(layer=layer, arguments=arguments, probability=probability)


def _number(path: Path, key: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UserError(f"the policy file `{path}`: `{key}` is a number from {low:g} to {high:g}, not `{value}`")
    return float(value)


_CHOICES = f"choose one of: {', '.join(POLICIES)}, or a TOML file"
