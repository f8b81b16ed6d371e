"""What a family says about its networks, against Keras' constructors, its published files and NumPy."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import families
from models.families import Family
from models.weights import weights_file
from models.zoo import BACKBONES

ROOT = Path(__file__).parents[2]
FAMILIES = {name: value for name, value in vars(families).items() if isinstance(value, Family)}
PUBLISHED = [name for name, family in FAMILIES.items() if family.weights_file]


def constructors(name: str) -> list[Callable[..., Any]]:  # Keras ships no types
    """The constructors of a family: its own module's, or those that Keras publishes in `keras.applications`."""
    import keras

    family = FAMILIES[name]
    home = keras.applications if family.weights_file else importlib.import_module(family.module)
    return [getattr(home, backbone.constructor) for backbone in BACKBONES.values() if backbone.family is family]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_networks_and_the_module_belongs_to_them(name: str) -> None:
    assert constructors(name)
    for constructor in constructors(name):
        assert constructor.__module__.rpartition(".")[2] == FAMILIES[name].module.rpartition(".")[2]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_options_are_those_of_the_constructors(name: str) -> None:
    family = FAMILIES[name]
    for constructor in constructors(name):
        options = inspect.signature(constructor).parameters
        assert ("alpha" in options) == family.has_width_multiplier
        assert ("include_preprocessing" in options) == family.has_preprocessing_option
        assert constructor.__name__.startswith(family.prefix)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_smallest_side_is_the_one_that_keras_names_when_it_refuses(name: str) -> None:
    family = FAMILIES[name]
    side = family.min_size - 1
    with pytest.raises(ValueError, match=f"at least {family.min_size}x{family.min_size}"):
        constructors(name)[0](include_top=False, weights=None, input_shape=(side, side, 3))


def caffe(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., ::-1] - np.array([103.939, 116.779, 123.68])


def tf(pixels: np.ndarray) -> np.ndarray:
    return pixels / 127.5 - 1


def torch(pixels: np.ndarray) -> np.ndarray:
    return (pixels / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    "name", [name for name in PUBLISHED if not FAMILIES[name].has_preprocessing_option and name != "EFFICIENTNET"]
)
def test_the_scaling_is_the_one_of_preprocess_input(name: str) -> None:
    family = FAMILIES[name]
    formula = {"caffe": caffe, "tf": tf, "torch": torch}[family.scaling]
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 4, 4, 3))
    scaled = importlib.import_module(family.module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(scaled, formula(pixels), atol=1e-4)


def test_only_a_constructor_without_an_option_scales_inside() -> None:
    inside = {name for name, family in FAMILIES.items() if family.scaling == "inside"}
    assert inside == {"EFFICIENTNET"}
    pixels = np.full((1, 2, 2, 3), 200.0)
    for name in (*inside, *(name for name in PUBLISHED if FAMILIES[name].has_preprocessing_option)):
        kept = importlib.import_module(FAMILIES[name].module).preprocess_input(pixels.copy())
        np.testing.assert_array_equal(kept, pixels, name)  # the network itself scales


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("vgg19", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("resnet50", "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("resnet50_v2", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("inception_v3", "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("inception_resnet_v2", "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("xception", "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("mobilenet_0.75", "mobilenet_7_5_224_tf_no_top.h5"),
        ("mobilenet_v2_1.4", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224_no_top.h5"),
        ("mobilenet_v3_large", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"),
        ("densenet121", "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("nasnet_mobile", "nasnet_mobile_no_top.h5"),
        ("efficientnet_b0", "efficientnetb0_notop.h5"),
        ("efficientnet_v2_b3", "efficientnetv2-b3_notop.h5"),
        ("efficientnet_v2_s", "efficientnetv2-s_notop.h5"),
        ("convnext_tiny", "convnext_tiny_notop.h5"),
    ],
)
def test_the_weights_file_has_the_published_name(name: str, file: str) -> None:
    assert weights_file(BACKBONES[name]).name == file


def test_a_family_is_plain_data_that_imports_no_keras() -> None:
    code = "import sys, models.families; assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
