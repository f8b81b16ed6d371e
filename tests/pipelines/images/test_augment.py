"""Views: the same for the same image, view and seed, whatever else is in the batch; policies as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.errors import UserError
from pipelines.images.augment import build_augmenter, build_mixer
from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import LAYERS, Policy, Switches
from pipelines.images.stateless_layers import PerImageSeeds, fold
from pipelines.images.warp import WARPS, matrix, warp
from tests.pipelines.pictures import drawn

SIZE = 48
IMAGE = np.asarray(drawn(SIZE, SIZE), np.float32)

STRENGTHS: dict[str, dict[str, Any]] = {
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
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.5},
}


def _views(policy: str, count: int, switches: Switches | None = None, seed: tuple[int, int] = (5, -7)) -> np.ndarray:
    augment = build_augmenter(find_policy(policy, switches), size=SIZE)
    views = tf.data.Dataset.range(1, count + 1).map(
        lambda view: augment(tf.constant(IMAGE), tf.constant(seed, tf.int32), tf.cast(view, tf.int32)),
        num_parallel_calls=2,
    )
    return np.stack([np.asarray(each) for each in views])


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
    lines = "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in STRENGTHS.get(layer, {}).items())
    path = tmp_path / "one.toml"
    path.write_text(f'[[step]]\nlayer = "{layer}"\n{lines}\n')
    first = _views(str(path), 6)
    np.testing.assert_array_equal(first, _views(str(path), 6))
    changes = [np.abs(view - IMAGE).mean() for view in first]
    assert max(changes) > 0.1
    if layer not in ("AutoContrast", "Equalization"):
        assert max(np.abs(view - first[0]).mean() for view in first[1:]) > 0.1


@pytest.mark.parametrize("name", WARPS)
def test_matrices_move_pixels_as_keras_layers_do(name: str) -> None:
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in STRENGTHS[name].items()}
    layer = getattr(keras.layers, name)(**arguments)
    for number in range(4):
        moved = layer.get_random_transformation(
            IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([number, 3]))
        )
        expected = np.asarray(layer.transform_images(IMAGE[None], moved, training=True))[0]
        found = np.asarray(warp(tf.constant(IMAGE), matrix(layer, moved, SIZE)))
        np.testing.assert_allclose(found, expected, atol=0.05)


def test_a_row_of_moves_is_one_resampling_in_their_order() -> None:
    flip, shift = keras.layers.RandomFlip("horizontal"), keras.layers.RandomTranslation(0.0, (0.25, 0.25))
    drawn_flip = {"flips": tf.constant(True, shape=(1, 1, 1, 1)), "input_shape": (1, SIZE, SIZE, 3)}
    drawn_shift = shift.get_random_transformation(IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([0, 0])))
    expected = shift.transform_images(flip.transform_images(IMAGE[None], drawn_flip), drawn_shift)[0]
    whole = tf.eye(3) @ matrix(flip, drawn_flip, SIZE) @ matrix(shift, drawn_shift, SIZE)
    np.testing.assert_allclose(warp(tf.constant(IMAGE), whole), expected, atol=0.05)


def test_light_flips_left_and_right_only() -> None:
    # A picture dark on top stays so.
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[SIZE // 2 :] = 200
    augment = tf.function(build_augmenter(find_policy("light"), size=SIZE))
    for view in range(1, 20):
        found = augment(tf.constant(image), tf.constant([3, 4]), tf.constant(view)).numpy()
        assert found[: SIZE // 3].mean() < 40 < 160 < found[-SIZE // 3 :].mean()


def test_switches() -> None:
    layers = [each.layer for each in find_policy("strong", Switches(no_flip=True)).steps]
    assert "RandomFlip" not in layers and "RandomHue" in layers
    plain = find_policy("strong", Switches(no_color=True)).steps
    assert not [each for each in plain if LAYERS[each.layer] == "colour"]
    assert [each.arguments["color"] for each in plain if each.layer == "RandAugment"] == [False]
    turned = find_policy("none", Switches(rotate90=True))
    assert [each.layer for each in turned.steps] == ["Rotate90"]
    assert turned.views > 1


def test_rotate90_turns_by_quarters() -> None:
    turns = [np.rot90(IMAGE, number) for number in range(4)]
    seen = {
        next(k for k in range(4) if np.array_equal(view, turns[k]))
        for view in _views("none", 24, Switches(rotate90=True))
    }
    assert seen == {0, 1, 2, 3}


def test_no_color_keeps_grey_levels_in_place(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[step]]\nlayer = "AugMix"\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    views = _views(str(path), 4, Switches(no_color=True))
    flat = np.full_like(IMAGE, 90.0)
    augment = build_augmenter(find_policy(str(path), Switches(no_color=True)), size=SIZE)
    np.testing.assert_allclose(augment(tf.constant(flat), tf.constant([1, 1]), tf.constant(1)), flat, atol=0.1)
    assert np.abs(views - IMAGE).mean() > 1


def test_digest_says_what_changes_pixels(tmp_path: Path) -> None:
    digests = {find_policy(name).digest for name in POLICIES}
    assert len(digests) == len(POLICIES)
    assert find_policy("light").digest != find_policy("light", Switches(no_flip=True)).digest
    assert find_policy("light").digest == find_policy("light", Switches(no_color=True)).digest
    path = tmp_path / "p.toml"
    path.write_text('views = 3\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    before = find_policy(str(path)).digest
    path.write_text('views = 9\n[[step]]\nlayer = "RandomHue"\nfactor = 0.5\n')
    assert find_policy(str(path)).digest == before
    assert find_policy(str(path)).views == 9
    path.write_text('[[step]]\nlayer = "RandomHue"\nfactor = 0.4\n')
    assert find_policy(str(path)).digest != before


def test_default_views() -> None:
    assert (find_policy("none").views, find_policy("light").views) == (1, 4)
    assert 4 < find_policy("medium").views <= find_policy("strong").views


BAD_FILES = {
    "views = 0": "whole number",
    "view = 3": "unknown key `view`",
    "step = 3": "no list",
    "[[step]]\nfactor = 1": "step 1 has no `layer`",
    '[[step]]\nlayer = "RandomRotatoin"': "unknown augmentation layer",
    '[[step]]\nlayer = "RandomHue"\nprobability = 3': "`probability` must be a number from 0 to 1",
    'mixup = "yes"': "`mixup` must be a number",
    "= 3": "not TOML",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_policy_files_are_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        find_policy(str(path))
    assert BAD_FILES[text] in caught.value.message
    assert "policy.toml" in caught.value.message


def test_wrong_names_and_arguments(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        find_policy("ligt")
    assert "light" in caught.value.hint
    with pytest.raises(UserError, match="cannot be read"):
        find_policy(str(tmp_path / "none.toml"))
    path = tmp_path / "p.toml"
    path.write_text('[[step]]\nlayer = "RandomRotation"\nangle = 3\n')
    with pytest.raises(UserError, match="RandomRotation"):
        build_augmenter(find_policy(str(path)), size=SIZE)
    path.write_text('[[step]]\nlayer = "RandomRotation"\nfactor = 3\n')
    with pytest.raises(UserError, match="does not take these arguments"):
        build_augmenter(find_policy(str(path)), size=SIZE)


@pytest.mark.parametrize("policy", [Policy(mixup=0.4), Policy(cutmix=1.0), Policy(mixup=0.4, cutmix=1.0)])
def test_mixing_keeps_labels_true_to_the_pixels(policy: Policy) -> None:
    # Class k is a flat picture of level 10 k: the mean level tells the mixture, to the pixel that a cut is rounded to.
    levels = np.arange(6, dtype=np.float32) * 10
    images = np.ones((6, 200, 200, 3), np.float32) * levels[:, None, None, None]
    labels = np.eye(6, dtype=np.float32)
    mix = build_mixer(policy)
    assert mix is not None
    mix = tf.function(mix)
    changed = 0.0
    for number in range(6):
        key = tf.constant([number, 1])
        mixed, soft = mix(tf.constant(images), tf.constant(labels), key)
        again, _ = mix(tf.constant(images), tf.constant(labels), key)
        np.testing.assert_array_equal(mixed, again)
        np.testing.assert_allclose(soft.numpy().sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(mixed.numpy().mean((1, 2, 3)), soft.numpy() @ levels, atol=0.6)
        changed += np.abs(mixed.numpy() - images).mean()
    assert changed > 1


def test_nothing_to_mix() -> None:
    assert build_mixer(POLICIES["light"]) is None


def test_keys_lead_apart() -> None:
    key = tf.constant([1, 2])
    numbers = {tuple(fold(fold(key, each), other).numpy()) for each in range(9) for other in range(9)}
    assert len(numbers) == 81
