from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.backbones import build_backbone
from models.classics import local_response
from models.zoo import BACKBONES

CLASSICS = ["lenet4", "lenet5", "alexnet", "alexnet_bn", "zfnet", "zfnet_bn", "googlenet", "googlenet_bn", "small_cnn"]


def build(name: str, size: int | None = None) -> Any:
    return build_backbone(BACKBONES[name], weights="none", image_size=size)


def shapes(model: Any, *names: str) -> list[tuple[int, ...]]:
    return [model.get_layer(name).output.shape[1:] for name in names]


def parameters(model: Any, *names: str) -> list[int]:
    return [model.get_layer(name).count_params() for name in names]


def test_alexnet_is_the_one_of_2012() -> None:
    model = build("alexnet")
    names = "block1_conv block1_pool block2_conv block2_pool block3_conv block4_conv block5_conv block5_pool"
    assert shapes(model, *names.split()) == [
        *((55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256)),
        *((13, 13, 384), (13, 13, 384), (13, 13, 256), (6, 6, 256)),
    ]
    assert shapes(model, "block6_dense", "block7_dense") == [(4096,), (4096,)]
    assert parameters(model, "block1_conv", "block2_conv_a", "block3_conv", "block4_conv_b", "block5_conv_a") == [
        *(34_944, 153_728, 885_120, 331_968, 221_312)
    ]
    assert model.count_params() + 4096 * 1000 + 1000 == BACKBONES["alexnet"].parameters == 60_965_224
    # Section 3.3: after the ReLU of the first two convolutions, before their pools.
    assert [layer.name for layer in model.layers if layer.name.startswith(("block1", "block2"))] == [
        *("block1_conv", "block1_conv_relu", "block1_response_norm", "block1_pool"),
        *("block2_conv_a", "block2_conv_b", "block2_conv", "block2_conv_relu", "block2_response_norm", "block2_pool"),
    ]
    assert {model.get_layer(f"block{number}_dropout").rate for number in (6, 7)} == {0.5}


def test_zfnet_is_the_one_of_2013() -> None:
    model = build("zfnet")
    names = "block1_conv block1_pool block2_conv block2_pool block3_conv block4_conv block5_conv block5_pool"
    assert shapes(model, *names.split()) == [
        *((110, 110, 96), (55, 55, 96), (26, 26, 256), (13, 13, 256)),
        *((13, 13, 384), (13, 13, 384), (13, 13, 256), (6, 6, 256)),
    ]
    assert model.count_params() + 4096 * 1000 + 1000 == BACKBONES["zfnet"].parameters == 62_357_608


def test_local_response_is_the_formula_of_the_paper() -> None:
    maps = np.random.default_rng(0).normal(0, 30, (2, 3, 3, 9)).astype("float32")
    wanted = np.empty_like(maps)
    for place in range(9):
        window = maps[..., max(0, place - 2) : place + 3].astype("float64")
        wanted[..., place] = maps[..., place] / (2 + 1e-4 * (window**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(local_response(maps, name="norm"), wanted, rtol=1e-5)


@pytest.mark.parametrize("name", CLASSICS)
def test_batch_normalisation_is_a_choice(name: str) -> None:
    from keras import layers

    backbone = BACKBONES[name]
    model = build(name, backbone.family.min_size)
    norms = sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)
    assert (norms > 0) == backbone.batch_norm == (name.endswith("_bn") or name == "small_cnn")
    if name.endswith("_bn"):
        biased = [layer for layer in model.layers if isinstance(layer, layers.Dense) and layer.use_bias]
        assert not biased and not any(operation.name.startswith("power") for operation in model.operations)


@pytest.mark.parametrize("name", CLASSICS)
def test_the_smallest_input_is_the_smallest(name: str) -> None:
    from models import backbones

    backbone = BACKBONES[name]
    features = build(name, backbone.family.min_size).output_shape[1:]
    assert all(side > 0 for side in features)
    if name not in ("googlenet", "googlenet_bn"):  # which pads all the way down; 32 is what makes sense
        with pytest.raises(ValueError, match=r"[Nn]egative|must be|less than|Computed output size"):
            backbones._construct(backbone, backbone.family.min_size - 1, None)


@pytest.mark.parametrize("name", CLASSICS)
def test_each_has_a_recipe_and_no_pretrained_weights(name: str) -> None:
    backbone = BACKBONES[name]
    assert backbone.recipe is not None and not backbone.has_published_weights
    if backbone.family.name == "AlexNet":
        assert backbone.recipe.optimizer == "sgd"
        assert (backbone.recipe.learning_rate, backbone.recipe.batch_size) == (1e-2, 128)
        assert (backbone.recipe.weight_decay, backbone.recipe.head_dropout) == (5e-4, 0.0)


@pytest.mark.parametrize(
    "name", ["lenet4", "lenet5", "small_cnn", pytest.param("googlenet_bn", marks=pytest.mark.slow)]
)
def test_it_learns(name: str) -> None:
    """Two easy classes, a few steps: the loss falls well below chance."""
    import keras

    from models.classifier import build_classifier
    from models.heads import HEADS, build_head

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    images = rng.uniform(0, 80, (32, 32, 32, 3)).astype("float32")
    images[labels == 1, 8:24, 8:24] += 150
    backbone = build(name, 32)
    width = backbone.output_shape[-1]
    model = build_classifier(backbone, build_head(HEADS["linear"], num_features=width, num_classes=2))
    model.compile(keras.optimizers.SGD(1e-2, momentum=0.9), "sparse_categorical_crossentropy")
    history = model.fit(images, labels, epochs=12, batch_size=16, verbose=0, shuffle=False).history["loss"]
    assert history[-1] < 0.35 < history[0]
