"""Adds the averaged activations of a backbone's upper blocks to those of its last layer, and takes them away again.

Layers below the last hold what it threw away: a linear head on both is often better than one on the last alone (Evci et
al., Head2Toe, ICML 2022).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from models.blocks import JOINED, divide_into_blocks, list_producers
from models.errors import UserError
from models.keras_private import Operation, graph_inputs, producer, producer_inputs

if TYPE_CHECKING:
    import keras

# The layer that averages the last map.
LAST = "level_last"
# Of MobileNetV2, the last six blocks were as good as all sixteen, at 5,888 values instead of 8,416 (clothing).
NUM_LEVELS = 6
# Where the widest activation of each block is computed, normalised and rectified by what follows. The first pattern
# that matches some layer's name as a whole holds. The features of cached images are known by the word `levels`: a
# change here needs another word.
PATTERNS: tuple[str, ...] = (
    r"(normal|reduction)_concat_\w+",  # NASNet: its cells
    r"block\d+_\d+_ac",  # Inception-ResNet: the sums
    r"mixed\d+",  # Inception V3
    r"inception_\d[a-z]_concat",  # GoogLeNet
    r"pool\d_relu",  # DenseNet: all that a dense block has gathered
    r"conv\d_block\d+_out",  # ResNet: the sums
    r"convnext\w+_pointwise_conv_1",  # ConvNeXt: four times as wide as the block
    r"(expanded_conv(_\d+)?|block_\d+)_depthwise",  # MobileNet V2 and V3
    r"conv_pw_\d+",  # MobileNet
    r"block\d+[a-z]_dwconv2?",  # EfficientNet
    r"block\d+_sepconv3_act|block13_sepconv2_act|block14_sepconv1_act",  # Xception
    r"block\d+_conv\d?",  # VGG, AlexNet, ZFNet, `small_cnn`
    r"block\d+_(c\d|s\d_gain)",  # LeNet
)
# Layers and functions that change an activation value by value.
_VALUE_BY_VALUE = ("BatchNormalization", "Activation", "ReLU", "Multiply", "Tanh")


def find_levels(backbone: keras.Model) -> tuple[Operation, ...]:
    """The layers and functions of a backbone whose averaged activations are features besides its output.

    Args:
        backbone: flat and functional, as `build_backbone` and `load_backbone` return it.

    Returns:
        At most `NUM_LEVELS`, the uppermost ones, from the input upwards, each with an output (batch, h, w, channels).
        Empty where no map of activations lies below the output. In a network without a pattern they are the ends of its
        blocks.
    """
    below = list_producers(backbone)
    names = [operation.name for operation in below]
    pattern = next((pattern for pattern in PATTERNS if any(re.fullmatch(pattern, name) for name in names)), None)
    if pattern is None:
        starts = [members[-1] for _, members in divide_into_blocks(backbone)]
    else:
        starts = [operation for operation in below if re.fullmatch(pattern, operation.name)]
    ends = [_rectified(operation, below) for operation in starts]
    output = producer(backbone.outputs[0])
    levels = dict.fromkeys(end for end in ends if end is not output and len(end.output.shape) == 4)
    return tuple(levels)[-NUM_LEVELS:]


def add_levels(backbone: keras.Model) -> keras.Model:
    """Make a backbone give its levels.

    Args:
        backbone: as for `find_levels`; its layers and weights are shared.

    Returns:
        A flat functional model of the same name: pixels -> (batch, features), at first the averaged last map (or the
        vector that the backbone gives), then the averaged activations of `find_levels`, from the input upwards.

    Raises:
        UserError: nothing lies below its output.
    """
    import keras
    from keras import layers

    levels = find_levels(backbone)
    if not levels:
        raise UserError("this backbone has no activations below its last layer", "omit `--features levels`")
    last = backbone.outputs[0]
    if len(last.shape) == 4:
        last = layers.GlobalAveragePooling2D(name=LAST)(last)
    averaged = [
        layers.GlobalAveragePooling2D(name=f"level_{number}")(_output_in(operation, backbone))
        for number, operation in enumerate(levels, 1)
    ]
    joined = layers.Concatenate(name=JOINED)([last, *averaged])
    return keras.Model(backbone.inputs[0], joined, name=backbone.name)


def remove_levels(backbone: keras.Model) -> keras.Model:
    """Undo `add_levels`; a backbone without levels is returned as it is."""
    import keras

    joined = producer(backbone.outputs[0])
    if joined.name != JOINED:
        return backbone
    last = graph_inputs(backbone)[joined][0]
    if producer(last).name == LAST:
        (last,) = producer_inputs(last)
    return keras.Model(backbone.inputs[0], last, name=backbone.name)


def _rectified(operation: Operation, below: dict[Operation, list[Operation]]) -> Operation:
    """Go up from an operation through what normalises and rectifies its output."""
    while True:
        following = (
            other
            for other, sources in below.items()
            if sources == [operation] and type(other).__name__ in _VALUE_BY_VALUE
        )
        above = next(following, None)
        if above is None:
            return operation
        operation = above


def _output_in(operation: Operation, model: keras.Model) -> keras.KerasTensor:
    """The output of an operation in this model: a layer may have been called in another one too."""
    for tensors in graph_inputs(model).values():
        for tensor in tensors:
            if producer(tensor) is operation:
                return tensor
    raise AssertionError(f"nothing takes the output of {operation.name}")
