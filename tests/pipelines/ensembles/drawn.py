"""Members' probabilities that the tests of ensembles draw."""

from __future__ import annotations

import numpy as np


def drawn(
    members: int, images: int, classes: int = 4, seed: int = 0, sharpness: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Members that err independently, and labels; `sharpness` 1 is calibrated."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(images) % classes)
    logits = generator.normal(size=(members, images, classes))
    logits[:, np.arange(images), labels] += 1.0
    raised = np.exp(sharpness * logits)
    return raised / raised.sum(2, keepdims=True), labels
