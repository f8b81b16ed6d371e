"""Maps of a network that has learned a made task: a coloured patch somewhere on noise; where do they point?"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from models.classifier import build_classifier
from models.heads import HEADS, build_head
from pipelines.explanations.methods import METHODS
from pipelines.explanations.network import Network
from tests.pipelines.explanations.networks import SIZE, backbone

SIDE = 8
COLOURS = ((220, 60, 60), (60, 200, 60), (70, 70, 230))


def patched(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (count, 32, 32, 3), classes (count,), and the corners of the patches (count, 2)."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 190, (count, SIZE, SIZE, 3)).astype(np.float32)
    classes, corners = rng.integers(0, 3, count), rng.integers(0, SIZE - SIDE + 1, (count, 2))
    for image, colour, (top, left) in zip(pixels, classes, corners, strict=True):
        image[top : top + SIDE, left : left + SIDE] = COLOURS[colour]
    return pixels, classes.astype(np.int32), corners


@pytest.fixture(scope="module")
def trained() -> Network:
    """A network that tells the colour of the patch."""
    keras.utils.set_random_seed(1)
    model = build_classifier(backbone(1, pools=True), build_head(HEADS["linear"], num_features=12, num_classes=3))
    pixels, classes, _ = patched(600, 1)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels, classes, epochs=12, verbose=0)
    assert model.evaluate(*patched(200, 2)[:2], verbose=0)[1] > 0.95
    return Network(model)


@pytest.mark.parametrize("method", ["hirescam", "grad-cam", "integrated-gradients", "occlusion"])
def test_the_pasted_patch_is_found(trained: Network, method: str) -> None:
    """The pointing game (Zhang et al. 2016): the place of a map's greatest value, within one cell of the map."""
    pixels, classes, corners = patched(40, 3)
    maps = METHODS[method].build(trained, None)(pixels, classes).maps
    if method == "integrated-gradients":
        maps = uniform_filter(maps, (0, 5, 5))  # single pixels of noise stand out; what is found is where they gather
    places = np.stack(np.unravel_index(maps.reshape(40, -1).argmax(1), (SIZE, SIZE)), 1)
    is_found = ((places >= corners - 2) & (places < corners + SIDE + 2)).all(1)
    assert is_found.mean() >= 0.95


# Not of `gradient`: it has no sign, and here its insertion curve is hardly above chance (0.817 to 0.808).
@pytest.mark.parametrize("method", ["hirescam", "grad-cam", "integrated-gradients", "occlusion"])
def test_deleting_and_inserting_by_the_map_beats_random_order(trained: Network, method: str) -> None:
    """Deletion and insertion curves (Petsiuk et al. 2018): the class's mean probability on the way, pixels as grey."""
    pixels, classes, _ = patched(20, 4)
    maps = METHODS[method].build(trained, None)(pixels, classes).maps.reshape(20, -1)
    random = np.random.default_rng(5).random(maps.shape)
    by_map, by_chance = (_areas(trained, pixels, classes, order) for order in (maps, random))
    assert by_map[0] < by_chance[0] - 0.05  # deletion
    assert by_map[1] > by_chance[1] + 0.05  # insertion


def _areas(network: Network, pixels: np.ndarray, classes: np.ndarray, order: np.ndarray) -> tuple[float, float]:
    """Mean probability of the classes while pixels of the greatest order are deleted first, or inserted first."""
    ranks = order.argsort(1)[:, ::-1].argsort(1).reshape(-1, SIZE, SIZE, 1)
    sums = [0.0, 0.0]
    for step in range(1, 10):
        is_first = ranks < step * SIZE**2 // 10
        for place, shown in enumerate((np.where(is_first, 127.5, pixels), np.where(is_first, pixels, 127.5))):
            probabilities = network.model.predict(shown.astype(np.float32), verbose=0)
            sums[place] += float(probabilities[np.arange(len(classes)), classes].mean()) / 9
    return sums[0], sums[1]
