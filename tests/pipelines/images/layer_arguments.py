"""An image, and arguments for every layer of a policy that make its effect visible on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.pipelines.pictures import drawn

SIZE = 48
IMAGE = np.asarray(drawn(SIZE, SIZE), np.float32)

# Layer -> its arguments as TOML holds them.
ARGUMENTS: dict[str, dict[str, str | float | list[float] | list[list[float]]]] = {
    "RandomFlip": {"mode": "horizontal_and_vertical"},
    "RandomRotation": {"factor": 0.1},
    "RandomZoom": {"height_factor": [-0.3, 0.2], "width_factor": [-0.3, 0.2]},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomShear": {"x_factor": 0.2, "y_factor": 0.2},
    "RandomPerspective": {"factor": 1.0, "scale": 0.4},
    "RandomElasticTransform": {"factor": 1.0},
    "RandomBrightness": {"factor": 0.3},
    "RandomContrast": {"factor": 0.3},
    "RandomSaturation": {"factor": [0.2, 0.7]},
    "RandomHue": {"factor": 0.2},
    "RandomGrayscale": {"factor": 0.5},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomPosterization": {"factor": 4},
    "RandomInvert": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomGaussianBlur": {"factor": 1.0, "kernel_size": 5, "sigma": 1.0},
    "RandomErasing": {"factor": 1.0},
    "GaussianNoise": {"stddev": 9.0},
    "RandomResizedCrop": {"area": [0.2, 0.7], "aspect_ratio": [0.7, 1.5]},
    "FancyPCA": {"stddev": 0.5, "covariance": [[0.08, 0.06, 0.05], [0.06, 0.07, 0.05], [0.05, 0.05, 0.07]]},
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.5},
}


def write_policy(path: Path, *layers: str) -> str:
    """Write a policy file with a step for each layer, with the arguments above, and return its path."""
    lines = []
    for layer in layers:
        arguments = [f"{name} = {value!r}".replace("'", '"') for name, value in ARGUMENTS.get(layer, {}).items()]
        lines += ["[[step]]", f'layer = "{layer}"', *arguments]
    path.write_text("\n".join(lines) + "\n")
    return str(path)
