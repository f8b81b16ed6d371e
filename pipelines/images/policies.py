"""The table of augmentation policies: which layers, in which order, how strong (no Keras)."""

from __future__ import annotations

from pathlib import Path

from models.errors import lookup
from pipelines.images.policy import Argument, Policy, PolicyStep, Switches, apply_switches
from pipelines.images.policy_file import read_policy


def _step(layer: str, probability: float = 1.0, **arguments: Argument) -> PolicyStep:
    return PolicyStep(layer=layer, arguments=arguments, probability=probability)


# Of layers whose factor is a probability: a number f stands for one that is itself drawn from [0, f] for each image.
ALWAYS = (1.0, 1.0)
# RandomContrast takes a number f as [1, 1 + f], and a pair as [1 - low, 1 + high]; RandomHue a number f as half of f of
# the circle of hues either way; RandomResizedCrop has aspect ratios from 3/4 to 4/3 unless told otherwise.
POLICIES: dict[str, Policy] = {
    "none": Policy(name="none", views=1),
    "light": Policy(
        name="light",
        views=4,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.03),
            _step("RandomZoom", height_factor=(-0.15, 0.05)),
        ),
    ),
    # Krizhevsky et al. 2012, section 4.1: mirror images, patches of 224 of 256 pixels at any place, and colours. The
    # centre of a patch of 7/8 of the side is at most 1/16 of the side, 1/14 of the patch, from the middle.
    "alexnet": Policy(
        name="alexnet",
        views=8,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomZoom", height_factor=(-0.125, -0.125)),
            _step("RandomTranslation", height_factor=1 / 14, width_factor=1 / 14),
            _step("FancyPCA", stddev=0.1),
        ),
    ),
    "medium": Policy(
        name="medium",
        views=6,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.05),
            _step("RandomResizedCrop", area=(0.4, 1.0)),
            _step("RandomShear", x_factor=0.05, y_factor=0.05),
            _step("RandomBrightness", factor=0.15),
            _step("RandomContrast", factor=(0.2, 0.2)),
            _step("RandomSaturation", factor=(0.4, 0.6)),
        ),
    ),
    "strong": Policy(
        name="strong",
        views=8,
        mixup=0.2,
        cutmix=1.0,
        steps=(
            _step("RandomFlip", mode="horizontal"),
            _step("RandomRotation", factor=0.08),
            _step("RandomResizedCrop", area=(0.25, 1.0)),
            _step("RandomShear", x_factor=0.1, y_factor=0.1),
            _step("RandomPerspective", probability=0.3, factor=ALWAYS, scale=0.3),
            _step("RandAugment", probability=0.5, num_ops=1, factor=0.6),
            _step("RandomBrightness", factor=0.25),
            _step("RandomContrast", factor=(0.3, 0.3)),
            _step("RandomSaturation", factor=(0.3, 0.65)),
            _step("RandomHue", probability=0.5, factor=0.05),
            _step("RandomGaussianBlur", probability=0.15, factor=ALWAYS, kernel_size=5, sigma=1.0),
            _step("GaussianNoise", probability=0.25, stddev=8.0),
            _step("RandomErasing", probability=0.25, factor=ALWAYS, scale=(0.02, 0.2)),
        ),
    ),
}


def find_policy(name: str, switches: Switches | None = None) -> Policy:
    """The policy that `name` means, with the switches applied.

    Args:
        name: of `POLICIES`, or a TOML file (see `pipelines.images.policy_file`).
        switches: what holds for the user's pictures.

    Raises:
        UserError: the policy is unknown, or the file does not hold one.
    """
    path = Path(name)
    if name in POLICIES:
        policy = POLICIES[name]
    elif path.suffix == ".toml" or path.is_file():
        policy = read_policy(path)
    else:
        policy = lookup(POLICIES, name, "augmentation policy")
    return apply_switches(policy, switches or Switches())
