from __future__ import annotations

from typing import Any

import pytest

from models.backbones import build_backbone
from models.block_names import block_names
from models.blocks import divide_into_blocks, find_lowest_trained, list_blocks, list_producers
from models.errors import UserError
from models.zoo import BACKBONES
from tests.models.spread import SPREAD, every

# What is promised to `--fine-tune`: some names of each architecture, from the input upwards.
NAMES = {
    "vgg16": "block1 block2 block3 block4 block5",
    "xception": "block1 block2 block13 block14",
    "resnet50": "stem conv2_block1 conv2_block3 conv4_block6 conv5_block1 conv5_block2 conv5_block3",
    "resnet50_v2": "stem conv2_block1 conv5_block3",
    "inception_v3": "mixed0 mixed7 mixed8 mixed9 mixed10",
    "inception_resnet_v2": "mixed_5b block35_1 block35_10 mixed_6a block17_20 mixed_7a block8_9 conv_7b",
    "densenet121": "stem conv2 conv3 conv4 conv5",
    "mobilenet_0.25": "stem conv_1 conv_12 conv_13",
    "mobilenet_v2_0.35": "stem expanded_conv block_1 block_16",
    "mobilenet_v3_small": "stem expanded_conv expanded_conv_1 expanded_conv_10",
    "efficientnet_b0": "stem block1 block2 block3 block4 block5 block6 block7",
    "efficientnet_v2_b0": "stem block1 block6",
    "convnext_tiny": "stem stage_0 stage_1 stage_2 stage_3",
    "nasnet_mobile": "reduction_stem_1 reduction_stem_2 normal_0 reduction_reduce_4 normal_12",
    "small_cnn": "block1 block2 block3",
    "lenet4": "block1 block2 block3",
    "lenet5": "block1 block2 block3 block4",
    "alexnet": "block1 block2 block3 block4 block5 block6 block7",
    "zfnet": "block1 block2 block3 block4 block5 block6 block7",
    "googlenet": "stem inception_3a inception_3b inception_4a inception_4e inception_5a inception_5b",
}


def build(name: str) -> Any:
    backbone = BACKBONES[name]
    return build_backbone(backbone, weights="none", image_size=max(32, backbone.family.min_size))


@pytest.mark.parametrize("name", every((*SPREAD, "nasnet_mobile", "alexnet", "googlenet")))
def test_blocks_divide_every_backbone(name: str, no_random_numbers: None) -> None:
    model = build(name)
    blocks = list_blocks(model)
    # Every layer and function is in one block, in an order in which nothing comes from above.
    listed = [layer for block in blocks for layer in block.layers]
    assert sorted(listed) == sorted(operation.name for operation in model.operations)
    place = {operation: index for index, (_, members) in enumerate(divide_into_blocks(model)) for operation in members}
    for operation, sources in list_producers(model).items():
        assert all(place[source] <= place[operation] for source in sources)
    assert sum(block.parameters for block in blocks) == model.count_params()
    assert all(block.parameters > 0 for block in blocks)
    assert len({block.name for block in blocks}) == len(blocks) > 2
    # Between blocks a single tensor passes; two between the cells of NASNet.
    for index in range(1, len(blocks)):
        passing = {
            source
            for operation, sources in list_producers(model).items()
            for source in sources
            if place[source] < index <= place[operation]
        }
        if BACKBONES[name].family.name == "NASNet":
            assert 1 <= len(passing) <= 2
        else:
            assert len(passing) == 1, (blocks[index].name, [source.name for source in passing])


@pytest.mark.parametrize("name", NAMES)
def test_names_of_blocks(name: str, no_random_numbers: None) -> None:
    names = [block.name for block in list_blocks(build(name))]
    wanted = NAMES[name].split()
    assert [name for name in names if name in wanted] == wanted
    assert names[0] == wanted[0] and names[-1] == wanted[-1]
    if BACKBONES[name].has_published_weights:
        assert block_names(BACKBONES[name].constructor) == tuple(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, backbone in BACKBONES.items() if backbone.has_published_weights])
def test_the_list_of_names_is_that_of_the_network(name: str, no_random_numbers: None) -> None:
    assert block_names(BACKBONES[name].constructor) == tuple(block.name for block in list_blocks(build(name)))


def test_every_family_has_its_names_tested() -> None:
    assert {BACKBONES[name].family.name for name in NAMES} == {backbone.family.name for backbone in BACKBONES.values()}


def test_a_block_ends_where_the_next_one_starts() -> None:
    blocks = {block.name: block.layers for block in list_blocks(build("vgg16"))}
    assert blocks["block5"] == ("block5_conv1", "block5_conv2", "block5_conv3", "block5_pool")
    assert blocks["block1"][-1] == "block1_pool" and "scaling" in blocks["block1"]
    top = list_blocks(build("mobilenet_v2_0.35"))[-1]
    assert {"block_16_expand", "Conv_1", "Conv_1_bn", "out_relu"} <= set(top.layers)
    transitions = {block.name: block.layers for block in list_blocks(build("densenet121"))}
    assert {"pool4_conv", "pool4_pool"} <= set(transitions["conv4"])


@pytest.mark.parametrize(
    ("spec", "place"),
    [(0, 5), (1, 4), ("2", 3), (5, 0), ("all", 0), ("conv5", 3), ("conv5_block1", 3), ("conv5_block2", 4), ("stem", 0)],
)
def test_lowest_trained_block(spec: int | str, place: int) -> None:
    assert find_lowest_trained(["stem", "conv2_block1", "conv4_block1", "conv5_block1", "conv5_block2"], spec) == place


@pytest.mark.parametrize("spec", [6, "6", -1, "conv7", "block5_", "conv", ""])
def test_unknown_blocks_show_those_there_are(spec: int | str) -> None:
    names = ["stem", "conv2_block1", "conv4_block1", "conv5_block1", "conv5_block2"]
    with pytest.raises(UserError) as caught:
        find_lowest_trained(names, spec)
    assert ", ".join(names) in caught.value.hint


def test_the_hint_for_too_many_blocks_begins_with_the_least_that_the_option_takes() -> None:
    with pytest.raises(UserError) as caught:
        find_lowest_trained(["stem", "conv2", "conv3"], 99)
    assert caught.value.hint.startswith("give 1 to 3, ")


def test_a_foreign_network_is_divided_where_one_tensor_passes() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    left, right = layers.Conv2D(4, 1, name="left")(x), layers.Conv2D(4, 1, name="right")(x)
    x = layers.ReLU(name="joined")(left + right)
    x = layers.Flatten(name="flat")(layers.Conv2D(2, 3, name="last")(x))
    blocks = list_blocks(keras.Model(inputs, x))
    assert [block.name for block in blocks] in (["first", "left", "last"], ["first", "right", "last"])
    assert {"norm"} < set(blocks[0].layers) and {"left", "right", "joined"} < set(blocks[1].layers)
    assert blocks[2].layers == ("last", "flat")


def test_a_network_that_cannot_be_divided_is_one_block() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 3))
    [block] = list_blocks(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs))))
    assert len(block.layers) == 3
