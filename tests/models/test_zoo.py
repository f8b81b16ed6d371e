from __future__ import annotations

import inspect

import pytest

from models.zoo import BACKBONES
from tests.models.spread import every


def test_keys_are_names_and_name_the_constructor() -> None:
    for key, backbone in BACKBONES.items():
        assert key == backbone.name
        if backbone.has_published_weights:
            assert key.removesuffix(f"_{backbone.alpha:g}").replace("_", "") == backbone.constructor.lower()


def test_names_that_scripts_rely_on() -> None:
    promised = (
        "vgg16 vgg19 resnet50 resnet101_v2 inception_v3 inception_resnet_v2 xception mobilenet mobilenet_0.25"
        " mobilenet_0.5 mobilenet_0.75 mobilenet_v2 mobilenet_v2_1.4 mobilenet_v3_large densenet121 nasnet_mobile"
        " nasnet_large efficientnet_b0 efficientnet_b7 efficientnet_v2_s efficientnet_v2_b3 convnext_tiny"
        " convnext_xlarge lenet5 alexnet zfnet googlenet small_cnn"
    )
    assert set(promised.split()) <= set(BACKBONES)


def test_every_constructor_of_keras_is_in_the_table() -> None:
    import keras

    constructors = {
        name for name, thing in inspect.getmembers(keras.applications, callable) if not inspect.ismodule(thing)
    }
    assert len(constructors) > 35
    assert constructors == {backbone.constructor for backbone in BACKBONES.values() if backbone.has_published_weights}


@pytest.mark.parametrize(
    "name", every(("vgg16", "mobilenet_v2_1.4", "efficientnet_b0", "alexnet", "alexnet_bn", "googlenet"))
)
def test_parameters_and_sizes_are_those_of_the_built_network(name: str, no_random_numbers: None) -> None:
    from models.backbones import build_backbone, build_with_top

    backbone = BACKBONES[name]
    assert build_backbone(backbone, weights="none").count_params() == backbone.base_parameters
    if backbone.parameters is not None:
        assert build_with_top(backbone).count_params() == backbone.parameters


@pytest.mark.parametrize("name", every(("vgg16", "xception", "efficientnet_b3"), pretrained_only=True))
def test_image_size_is_the_constructors_default(name: str, no_random_numbers: None) -> None:
    import keras

    backbone = BACKBONES[name]
    if backbone.constructor.startswith("MobileNetV3"):
        pytest.skip("Keras gives MobileNet V3 no default size; its weights were trained at 224")
    options = {"alpha": backbone.alpha} if "MobileNet" in backbone.constructor else {}
    model = getattr(keras.applications, backbone.constructor)(weights=None, **options)
    assert model.input_shape[1:3] == (backbone.image_size, backbone.image_size)
