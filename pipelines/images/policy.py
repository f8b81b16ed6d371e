"""What an augmentation policy is: layers in an order, and the switches that suit them to the pictures (no Keras)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

Argument: TypeAlias = Any  # whatever a layer takes: a number, a word, a pair of numbers
# Part of the key of cached features: raise it when a policy gives other pixels than before.
AUGMENT_VERSION = 2
# Layer -> what it changes. All but the last six are Keras' layers of that name; RandAugment and AugMix choose among
# operations for each image, which Keras' own two do not do inside tf.data.
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
    "FancyPCA": "colour",
    "Rotate90": "geometry",
    "RandomResizedCrop": "geometry",
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
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    probability: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An augmentation policy.

    Attributes:
        name: of the policy, or its TOML file.
        steps: applied in this order to every view but the first.
        views: how many views of each image the feature cache holds unless asked otherwise; view 0 is the clean image.
        mixup: alpha of mixup, where the whole network is trained; 0 for none.
        cutmix: alpha of cutmix; with both, each batch takes one of them.
    """

    name: str = ""
    steps: tuple[PolicyStep, ...] = ()
    views: int = 4
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def digest(self) -> str:
        """Hash of what the policy does to pixels, for the key of cached features; hexadecimal."""
        import hashlib  # with OpenSSL behind it; not for a help page

        text = json.dumps([AUGMENT_VERSION, [asdict(step) for step in self.steps]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What holds for the user's pictures, whatever the policy.

    Attributes:
        no_flip: left and right (or up and down) mean something: text, maps, hands.
        rotate90: there is no up: aerial pictures, microscopy.
        no_color: colours mean something: stains, ripeness, goods.
    """

    no_flip: bool = False
    rotate90: bool = False
    no_color: bool = False


def apply_switches(policy: Policy, switches: Switches) -> Policy:
    """A policy without the steps that do not suit the pictures, and with those that do."""
    steps = [switched for step in policy.steps if (switched := _switched(step, switches))]
    if switches.rotate90:
        steps.insert(0, PolicyStep(layer="Rotate90"))
    return replace(policy, steps=tuple(steps), views=_num_views(policy, steps))


def _switched(step: PolicyStep, switches: Switches) -> PolicyStep | None:
    """A step as the switches allow it; None where they do not."""
    if switches.no_flip and step.layer == "RandomFlip":
        return None
    if switches.no_color:
        if LAYERS[step.layer] == "colour":
            return None
        if LAYERS[step.layer] == "mixed":
            return replace(step, arguments={**step.arguments, "color": False})
    return step


def _num_views(policy: Policy, steps: list[PolicyStep]) -> int:
    """One view where nothing is augmented; the usual number where only the switches augment."""
    if not steps:
        return 1
    return policy.views if policy.steps or policy.views > 1 else Policy().views
