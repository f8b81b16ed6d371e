"""RandAugment and AugMix: operations in both directions, stronger as the strength grows, and mixtures of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipelines.images.rand_augment import COLOUR, GEOMETRIC, aug_mix, rand_augment, random_operation
from pipelines.images.stateless_layers import Transform, fold_in
from tests.pipelines.images.layer_arguments import IMAGE, SIZE
from tests.pipelines.images.moves import RAMP, to_source

FLAT = np.full((SIZE, SIZE, 3), 90.0, np.float32)
# Grey and soft: no change below clips it.
SOFT = np.random.default_rng(0).uniform(110, 145, (SIZE, SIZE, 3)).astype(np.float32)


def _apply(transform: Transform, image: np.ndarray, count: int) -> np.ndarray:
    """(count, size, size, 3): an image by the keys 0 to count - 1."""
    apply = tf.function(transform)
    return np.stack([apply(tf.constant(image), tf.constant([number, 11])).numpy() for number in range(count)])


# Operation -> what is measured of its matrix to the source, and the greatest value at strength 1 (Cubuk et al. 2019).
MOVES = {
    "shear": (lambda matrix: matrix[0, 1], 0.3),
    "translation": (lambda matrix: matrix[0, 2] / SIZE, 0.45),
    "rotation": (lambda matrix: np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])), 30.0),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_go_both_ways_as_far_as_the_paper_says(name: str) -> None:
    measure, greatest = MOVES[name]
    strength = 0.5
    values = np.asarray([measure(to_source(view)) for view in _apply(GEOMETRIC[name](strength), RAMP, 200)])
    end = strength * greatest
    assert -1.001 * end <= values.min() < -0.9 * end
    assert 0.9 * end < values.max() <= 1.001 * end


def _lightness(view: np.ndarray) -> float:
    return float(view.mean() - SOFT.mean())


def _spread(view: np.ndarray) -> float:
    return float(view.std() / SOFT.std() - 1)


def _saturation(view: np.ndarray) -> float:
    spans = [((image.max(-1) - image.min(-1)) / image.max(-1)).mean() for image in (view, SOFT)]
    return float(spans[0] / spans[1] - 1)


def _roughness(view: np.ndarray) -> float:
    return float(np.abs(np.diff(view, axis=0)).mean() / np.abs(np.diff(SOFT, axis=0)).mean() - 1)


COLOURS = {"brightness": _lightness, "saturation": _saturation, "contrast": _spread, "sharpness": _roughness}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_change_in_both_directions(name: str) -> None:
    values = np.asarray([COLOURS[name](view) for view in _apply(COLOUR[name](0.6), SOFT, 60)])
    assert 0.3 < (values > 0).mean() < 0.7
    # A small strength changes little.
    few = np.asarray([COLOURS[name](view) for view in _apply(COLOUR[name](0.1), SOFT, 60)])
    assert np.abs(few).max() < 0.35 * np.abs(values).max()


# All but those without a strength.
@pytest.mark.parametrize("name", [name for name in GEOMETRIC | COLOUR if name not in ("auto contrast", "equalization")])
def test_strength_zero_leaves_an_image_as_it_is_and_more_changes_more(name: str) -> None:
    image = np.round(IMAGE)
    change = [
        np.abs(_apply((GEOMETRIC | COLOUR)[name](strength), image, 20) - image).mean() for strength in (0.0, 0.3, 0.9)
    ]
    # Keras' saturation leaves a rounding.
    assert change[0] < 0.01 < 0.3 < change[1] < change[2]


def test_solarization_inverts_what_is_bright() -> None:
    ramp = np.repeat(np.linspace(0, 255, SIZE, dtype=np.float32), SIZE * 3).reshape(SIZE, SIZE, 3)
    for view in _apply(COLOUR["solarization"](0.5), ramp, 12):
        is_inverted = np.abs(view - (255 - ramp)) < 0.01
        is_kept = np.abs(view - ramp) < 0.01
        assert (is_inverted | is_kept).all()
        assert is_kept[ramp < 127].all()
        assert np.diff(is_inverted[:, 0, 0].astype(int)).min() >= 0


@pytest.mark.parametrize(("strength", "levels"), [(0.5, 64), (1.0, 16)])
def test_posterization_keeps_as_many_bits_as_the_paper(strength: float, levels: int) -> None:
    ramp = np.tile(np.arange(256, dtype=np.float32), (4, 1))[..., None].repeat(3, -1)
    (view,) = _apply(COLOUR["posterization"](strength), ramp, 1)
    assert len(np.unique(view)) == levels


@pytest.mark.parametrize("factor", [-0.1, 1.1])
def test_a_strength_out_of_range_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        rand_augment(factor=factor)


def test_rand_augment_leaves_colours_alone_when_asked() -> None:
    colour = np.array([200, 90, 30], np.float32)
    image = np.ones((SIZE, SIZE, 3), np.float32) * colour

    def hues_change(color: bool) -> bool:
        images = _apply(rand_augment(num_ops=1, factor=0.6, color=color), image, 16)
        return bool(np.abs(images - colour).max() > 0.02)

    assert not hues_change(False)
    assert hues_change(True)


def test_rand_augment_takes_as_many_operations_as_asked() -> None:
    operation = random_operation(factor=0.6, color=True)
    key, image = tf.constant([4, 5]), tf.constant(IMAGE)
    results = [IMAGE]
    for number in range(3):
        results.append(np.clip(operation(results[-1], fold_in(key, number)), 0, 255))
    for count, expected in enumerate(results):
        augment = rand_augment(num_ops=count, factor=0.6)
        np.testing.assert_allclose(augment(image, key), expected, atol=0.01)
    assert np.abs(results[1] - results[2]).mean() > 1


def test_aug_mix_is_a_mixture_that_keeps_the_level() -> None:
    """Shares sum to 1: without colour operations, a flat image stays as it is."""
    np.testing.assert_allclose(_apply(aug_mix(color=False), FLAT, 6), 90, atol=0.1)
    textured = _apply(aug_mix(color=False), IMAGE, 6)
    assert min(np.abs(image - IMAGE).mean() for image in textured) > 0.1
