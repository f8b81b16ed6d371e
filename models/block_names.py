"""Lists the blocks of the published backbones by name, so that a wrong `--fine-tune` is refused before Keras is there.

`models.blocks.list_blocks` finds them in a network; a test compares the two.
"""

from __future__ import annotations

import re

_RESNET_152 = "stem conv2_block1-3 conv3_block1-8 conv4_block1-36 conv5_block1-3"
_RESNET_101 = "stem conv2_block1-3 conv3_block1-4 conv4_block1-23 conv5_block1-3"
_RESNET_50 = "stem conv2_block1-3 conv3_block1-4 conv4_block1-6 conv5_block1-3"
# Constructor of the backbone -> its blocks from the input upwards; `conv_1-3` is `conv_1 conv_2 conv_3`.
_BLOCKS = {
    "VGG16": "block1-5",
    "VGG19": "block1-5",
    "ResNet50": _RESNET_50,
    "ResNet101": _RESNET_101,
    "ResNet152": _RESNET_152,
    "ResNet50V2": _RESNET_50,
    "ResNet101V2": _RESNET_101,
    "ResNet152V2": _RESNET_152,
    "InceptionV3": "mixed0-10",
    "InceptionResNetV2": "mixed_5b block35_1-10 mixed_6a block17_1-20 mixed_7a block8_1-9 conv_7b",
    "Xception": "block1-14",
    "MobileNet": "stem conv_1-13",
    "MobileNetV2": "stem expanded_conv block_1-16",
    "MobileNetV3Small": "stem expanded_conv expanded_conv_1-10",
    "MobileNetV3Large": "stem expanded_conv expanded_conv_1-14",
    "DenseNet121": "stem conv2-5",
    "DenseNet169": "stem conv2-5",
    "DenseNet201": "stem conv2-5",
    "NASNetMobile": "reduction_stem_1-2 normal_0-3 reduction_reduce_4 normal_5-8 reduction_reduce_8 normal_9-12",
    "NASNetLarge": "reduction_stem_1-2 normal_0-5 reduction_reduce_6 normal_7-12 reduction_reduce_12 normal_13-18",
    **{f"EfficientNetB{size}": "stem block1-7" for size in range(8)},
    **{f"EfficientNetV2B{size}": "stem block1-6" for size in range(4)},
    "EfficientNetV2S": "stem block1-6",
    "EfficientNetV2M": "stem block1-7",
    "EfficientNetV2L": "stem block1-7",
    **{f"ConvNeXt{size}": "stem stage_0-3" for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
}


def block_names(constructor: str) -> tuple[str, ...]:
    """The blocks of a published backbone from the input upwards; none where they are not listed here.

    Args:
        constructor: of the backbone, such as `ResNet50`.
    """
    words = _BLOCKS.get(constructor, "").split()
    return tuple(name for word in words for name in _expanded(word))


def _expanded(word: str) -> list[str]:
    match = re.fullmatch(r"(.*?)(\d+)-(\d+)", word)
    return [f"{match[1]}{number}" for number in range(int(match[2]), int(match[3]) + 1)] if match else [word]
