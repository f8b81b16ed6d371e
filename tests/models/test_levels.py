"""Which activations of a backbone are features besides its output, what they are, and how they are taken away again."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.errors import UserError
from models.heads import HEADS, build_head
from models.levels import NUM_LEVELS, add_levels, find_levels, remove_levels
from models.zoo import BACKBONES
from tests.models.engines.tiny import pictures
from tests.models.spread import every

# The last six blocks besides the output, read off the architectures' papers and Keras' summaries.
WIDTHS = {
    "mobilenet_v2": (1280, 576, 576, 576, 960, 960, 960),
    "mobilenet": (1024, 512, 512, 512, 512, 512, 1024),
    "mobilenet_0.75": (768, 384, 384, 384, 384, 384, 768),
    "mobilenet_v3_small": (576, 240, 120, 144, 288, 576, 576),
    "vgg16": (512, 512, 512, 512, 512, 512, 512),
    "resnet50": (2048, 1024, 1024, 1024, 1024, 2048, 2048),
    "resnet50_v2": (2048, 1024, 1024, 1024, 1024, 2048, 2048),
    "inception_v3": (2048, 768, 768, 768, 768, 1280, 2048),
    "inception_resnet_v2": (1536, 2080, 2080, 2080, 2080, 2080, 2080),
    "xception": (2048, 728, 728, 728, 728, 728, 1536),
    "densenet121": (1024, 256, 512, 1024),
    "efficientnet_b0": (1280, 672, 672, 1152, 1152, 1152, 1152),
    "efficientnet_v2_b0": (1280, 1152, 1152, 1152, 1152, 1152, 1152),
    "convnext_tiny": (768, 1536, 1536, 1536, 3072, 3072, 3072),
    "nasnet_mobile": (1056, 528, 528, 704, 1056, 1056, 1056),
    "googlenet": (1024, 512, 512, 512, 528, 832, 832),
    "alexnet": (4096, 96, 256, 384, 384, 256),
    "zfnet": (4096, 96, 256, 384, 384, 256),
    "small_cnn": (128, 32, 64, 128),
    "lenet4": (120, 4, 8, 16, 16),
    "lenet5": (84, 6, 6, 16, 16, 120),
}
FAST = ("mobilenet_v2", "mobilenet_0.75", "mobilenet_v3_small", "resnet50_v2", "vgg16", "small_cnn", "lenet5")


def build(name: str) -> keras.Model:
    backbone = BACKBONES[name]
    return build_backbone(backbone, weights="none", image_size=max(32, backbone.family.min_size))


def own(depth: int = 2) -> keras.Model:
    """A network of one's own, whose layers have no name that a pattern knows."""
    pixels = keras.Input((12, 12, 3))
    x = pixels
    for number in range(depth):
        x = layers.Conv2D(4 + number, 3, name=f"filters_of_mine_{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(pixels, x, name="backbone")


def widths(backbone: keras.Model) -> tuple[int, ...]:
    return (int(backbone.output_shape[-1]), *(int(level.output.shape[-1]) for level in find_levels(backbone)))


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in WIDTHS]
)
def test_levels_are_the_widest_activations_of_the_last_six_blocks(name: str, no_random_numbers: None) -> None:
    assert widths(build(name)) == WIDTHS[name]


def test_every_family_has_its_levels_tested() -> None:
    assert {BACKBONES[name].family.name for name in WIDTHS} == {backbone.family.name for backbone in BACKBONES.values()}


@pytest.mark.parametrize("name", every(("small_cnn",)))
def test_every_backbone_has_levels(name: str, no_random_numbers: None) -> None:
    backbone = build(name)
    levels = add_levels(backbone)
    of_levels = widths(backbone)
    assert 3 <= len(of_levels) - 1 <= NUM_LEVELS
    assert levels.output_shape == (None, sum(of_levels))
    assert levels.count_params() == backbone.count_params()


def test_the_features_are_the_means_of_the_rectified_depthwise_maps() -> None:
    keras.utils.set_random_seed(0)
    backbone = build("mobilenet_v2_0.35")
    pixels = pictures(2, 32)
    names = ["out_relu", *(f"block_{number}_depthwise_relu" for number in range(11, 17))]
    maps = keras.Model(backbone.inputs[0], [backbone.get_layer(name).output for name in names])(pixels)
    expected = np.concatenate([np.asarray(one, np.float64).mean((1, 2)) for one in maps], axis=1)
    assert min(np.asarray(one).min() for one in maps) >= 0
    np.testing.assert_allclose(add_levels(backbone)(pixels), expected, rtol=1e-4, atol=1e-6)


def test_the_levels_of_an_unknown_network_are_the_ends_of_its_blocks() -> None:
    keras.utils.set_random_seed(0)
    backbone = own(3)
    pixels = pictures(2, 12)
    x, expected = pixels, []
    for layer in backbone.layers[1:]:
        x = np.asarray(layer(x))
        if isinstance(layer, layers.ReLU):
            expected.append(x.mean((1, 2)))
    np.testing.assert_allclose(
        add_levels(backbone)(pixels), np.concatenate([expected[2], *expected[:2]], axis=1), rtol=1e-4, atol=1e-6
    )


def test_a_network_without_a_level_below_its_output_is_refused() -> None:
    pixels = keras.Input((8, 8, 3))
    with pytest.raises(UserError, match="no activations below its last layer"):
        add_levels(keras.Model(pixels, layers.Conv2D(4, 3)(pixels)))


@pytest.mark.parametrize("is_vector", [False, True])
def test_levels_are_taken_away_again_from_a_saved_classifier(is_vector: bool, tmp_path: Path) -> None:
    backbone = build("lenet5") if is_vector else own()
    levels = add_levels(backbone)
    head = build_head(HEADS["linear"], num_features=levels.output_shape[-1], num_classes=3)
    build_classifier(levels, head).save(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras")
    pixels = pictures(2, backbone.input_shape[1])
    of_file = saved.get_layer("backbone")
    np.testing.assert_allclose(of_file(pixels), levels(pixels), rtol=1e-5)
    last = remove_levels(of_file)
    assert last.output_shape == backbone.output_shape
    assert [layer.name for layer in last.layers] == [layer.name for layer in backbone.layers]
    np.testing.assert_allclose(last(pixels), backbone(pixels), rtol=1e-5)


def test_a_backbone_without_levels_stays_as_it_is() -> None:
    backbone = own()
    assert remove_levels(backbone) is backbone
