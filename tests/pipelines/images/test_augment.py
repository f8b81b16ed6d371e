"""Views of an image: the same for the same image, view and seed, and what the policy says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.errors import UserError
from pipelines.images.augment import OWN_LAYERS, TRANSFORMS, build_augmenter
from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import LAYERS, Policy, PolicyStep, Switches
from pipelines.images.stateless_layers import PerImageSeeds, fold_in
from tests.pipelines.images.layer_arguments import ARGUMENTS, IMAGE, SIZE, write_policy


def _views(policy: str, count: int, switches: Switches | None = None, seed: tuple[int, int] = (5, -7)) -> np.ndarray:
    found = find_policy(policy, switches)
    # As a training fills it in, from its own images.
    steps = [
        replace(step, arguments=ARGUMENTS["FancyPCA"]) if step.layer == "FancyPCA" else step for step in found.steps
    ]
    augment = build_augmenter(replace(found, steps=tuple(steps)), size=SIZE)
    views = tf.data.Dataset.range(1, count + 1).map(
        lambda view: augment(tf.constant(IMAGE), tf.constant(seed, tf.int32), tf.cast(view, tf.int32)),
        num_parallel_calls=2,
    )
    return np.stack([np.asarray(view) for view in views])


@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "none"])
def test_a_policys_views_differ_and_repeat(policy: str) -> None:
    first = _views(policy, 5)
    np.testing.assert_array_equal(first, _views(policy, 5))
    assert first.shape == (5, SIZE, SIZE, 3)
    assert first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 255
    for number, view in enumerate(first):
        for other in [*first[:number], IMAGE]:
            assert np.abs(view - other).mean() > 0.5
    assert np.abs(first - _views(policy, 5, seed=(6, -7))).mean() > 1


def test_view_zero_is_the_image() -> None:
    augment = build_augmenter(find_policy("strong"), size=SIZE)
    view = augment(tf.constant(IMAGE), tf.constant([1, 2]), tf.constant(0))
    np.testing.assert_array_equal(view, IMAGE)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_drawn_from_its_key(layer: str, tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "one.toml", layer)
    first = _views(policy, 6)
    np.testing.assert_array_equal(first, _views(policy, 6))
    changes = [np.abs(view - IMAGE).mean() for view in first]
    assert max(changes) > 0.1
    if layer not in ("AutoContrast", "Equalization"):
        assert max(np.abs(view - first[0]).mean() for view in first[1:]) > 0.1


def test_every_layer_of_policies_is_keras_or_headstarts() -> None:
    own = {*TRANSFORMS, *OWN_LAYERS}
    assert own <= set(LAYERS)
    assert all(hasattr(keras.layers, name) for name in set(LAYERS) - own)


def test_perspective_mirrors_unless_asked_to_fill(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[step]]\nlayer = "RandomPerspective"\nfactor = [1.0, 1.0]\nscale = 0.4\n')
    flat = tf.fill([SIZE, SIZE, 3], 90.0)

    def darkest() -> float:
        augment = tf.function(build_augmenter(find_policy(str(path)), size=SIZE))
        return min(float(tf.reduce_min(augment(flat, tf.constant([3, 4]), tf.constant(view)))) for view in range(1, 9))

    assert darkest() == pytest.approx(90, abs=0.01)
    path.write_text(path.read_text() + "fill_value = 0.0\n")
    assert darkest() < 1


def test_light_flips_left_and_right_only() -> None:
    # A picture dark on top stays so.
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[SIZE // 2 :] = 200
    augment = tf.function(build_augmenter(find_policy("light"), size=SIZE))
    for number in range(1, 20):
        view = augment(tf.constant(image), tf.constant([3, 4]), tf.constant(number)).numpy()
        assert view[: SIZE // 3].mean() < 40 < 160 < view[-SIZE // 3 :].mean()


def test_rotate90_turns_by_quarters() -> None:
    turns = [np.rot90(IMAGE, number) for number in range(4)]
    seen = {
        next(number for number in range(4) if np.array_equal(view, turns[number]))
        for view in _views("none", 24, Switches(rotate90=True))
    }
    assert seen == {0, 1, 2, 3}


def test_rotate90_is_added_to_what_a_policy_does() -> None:
    # Dark on top: with quarter turns the dark half lies on each of the four sides.
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[SIZE // 2 :] = 200
    augment = tf.function(build_augmenter(find_policy("light", Switches(rotate90=True)), size=SIZE))
    darkest = set()
    for number in range(1, 25):
        view = augment(tf.constant(image), tf.constant([3, 4]), tf.constant(number)).numpy()
        third = SIZE // 3
        sides = [view[:third], view[-third:], view[:, :third], view[:, -third:]]
        darkest.add(int(np.argmin([side.mean() for side in sides])))
    assert darkest == {0, 1, 2, 3}


def test_no_color_keeps_grey_levels_in_place(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[step]]\nlayer = "AugMix"\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    views = _views(str(path), 4, Switches(no_color=True))
    flat = np.full_like(IMAGE, 90.0)
    augment = build_augmenter(find_policy(str(path), Switches(no_color=True)), size=SIZE)
    np.testing.assert_allclose(augment(tf.constant(flat), tf.constant([1, 1]), tf.constant(1)), flat, atol=0.1)
    assert np.abs(views - IMAGE).mean() > 1


@pytest.mark.parametrize("policy", ["medium", "strong"])
def test_no_color_keeps_the_colour_of_a_flat_image(policy: str) -> None:
    # Noise and erased patches are not colour, and are taken out. Moves mirror what lies outside: no corner is black.
    switched = find_policy(policy, Switches(no_color=True))
    steps = tuple(step for step in switched.steps if step.layer not in ("GaussianNoise", "RandomErasing"))
    augment = tf.function(build_augmenter(Policy(steps=steps), size=SIZE))
    colour = np.array([200, 90, 30], np.float32)
    flat = np.ones((SIZE, SIZE, 3), np.float32) * colour
    for number in range(1, 9):
        view = augment(tf.constant(flat), tf.constant([2, 9]), tf.constant(number)).numpy()
        np.testing.assert_allclose(view, flat, atol=0.05)


def test_steps_apply_in_their_order() -> None:
    """Moves in a row, a colour step, and a move behind it: as Keras' layers one after the other on the same draws."""
    policy = Policy(
        steps=(
            PolicyStep(layer="RandomRotation", arguments={"factor": 0.1}),
            PolicyStep(layer="RandomBrightness", arguments={"factor": 0.3}),
            PolicyStep(layer="RandomTranslation", arguments={"height_factor": 0.2, "width_factor": 0.2}),
        )
    )
    layers = [keras.layers.RandomRotation(0.1), keras.layers.RandomBrightness(0.3)]
    layers.append(keras.layers.RandomTranslation(0.2, 0.2))
    augment = build_augmenter(policy, size=SIZE)
    for view in (1, 2, 3):
        key = fold_in(tf.constant([5, -7]), view)
        expected = tf.constant(IMAGE[None])
        for number, layer in enumerate(layers):
            step_key = fold_in(key, number)
            # A transform of moves folds the number of the move into its key.
            seeds = PerImageSeeds(step_key if number == 1 else fold_in(step_key, 0))
            transformation = layer.get_random_transformation(expected, training=True, seed=seeds)
            expected = layer.transform_images(expected, transformation, training=True)
        result = augment(tf.constant(IMAGE), tf.constant([5, -7]), tf.constant(view))
        np.testing.assert_allclose(result, np.clip(expected[0], 0, 255), atol=0.05)


def test_arguments_that_a_layer_does_not_take_are_named(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[step]]\nlayer = "RandomRotation"\nangle = 3\n')
    with pytest.raises(UserError, match="RandomRotation"):
        build_augmenter(find_policy(str(path)), size=SIZE)
    path.write_text('[[step]]\nlayer = "RandomRotation"\nfactor = 3\n')
    with pytest.raises(UserError, match="does not take these arguments"):
        build_augmenter(find_policy(str(path)), size=SIZE)
    path.write_text('[[step]]\nlayer = "AugMix"\nchains = 3\n')
    with pytest.raises(UserError, match=r"p\.toml`: `AugMix` does not take these arguments"):
        build_augmenter(find_policy(str(path)), size=SIZE)


@pytest.mark.parametrize(
    ("layer", "argument"),
    [
        ("RandAugment", "num_ops = 1.5"),
        ("RandAugment", "num_ops = 100000"),
        ("RandAugment", "num_ops = true"),
        ("AugMix", "alpha = -1"),
        ("AugMix", "alpha = 0.0"),
        ("AugMix", "num_chains = 0"),
        ("AugMix", "chain_depth = -3"),
        ("GaussianNoise", 'stddev = "x"'),
        ("GaussianNoise", "stddev = -1.0"),
    ],
)
def test_arguments_out_of_range_are_refused_before_an_image_is_drawn(layer: str, argument: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f'[[step]]\nlayer = "{layer}"\n{argument}\n')
    with pytest.raises(UserError, match=f"`{layer}` does not take these arguments"):
        build_augmenter(find_policy(str(path)), size=SIZE)
