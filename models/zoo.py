"""Lists the backbones as plain data that imports in milliseconds, without Keras.

`size_mb`, `top1` and `top5` are what Keras documents for ImageNet-1k (keras.io/api/applications; the module pages of
MobileNet, MobileNetV2 and MobileNetV3 for width multipliers); undocumented figures are None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.conv_network import ConvNetwork
from models.families import (
    ALEXNET,
    CONVNEXT,
    DENSENET,
    EFFICIENTNET,
    EFFICIENTNET_V2,
    EFFICIENTNET_V2_B,
    GOOGLENET,
    INCEPTION_RESNET,
    INCEPTION_V3,
    LENET,
    LENET_4,
    MOBILENET,
    MOBILENET_V2,
    MOBILENET_V3,
    NASNET,
    RESNET,
    RESNET_V2,
    SMALL,
    VGG16,
    VGG19,
    XCEPTION,
    ZFNET,
    Family,
    PixelScaling,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRecipe:
    """How a network that starts from random weights is trained, unless the user says otherwise.

    Attributes:
        optimizer: `sgd` (with momentum 0.9 unless asked otherwise) or `adam`.
        learning_rate: the first; it is divided by 10 on plateaus.
        batch_size: images a step.
        weight_decay: factor of the weights that is added to the gradient in each step.
        head_dropout: rate in [0, 1) on the features; 0 where the network has dropout layers.
        augment: the policy of `pipelines.images.policies` with its views of the images; a training that does not ask
            for it is told of it.
        views: of `--tta` that its paper averages predictions over.
    """

    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    batch_size: int
    weight_decay: float = 0.0
    head_dropout: float = 0.0
    augment: str = "none"
    views: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """One entry of `BACKBONES`.

    Attributes:
        name: its key.
        constructor: name of the function in the family's module.
        family: the architecture.
        image_size: side in pixels of the square input that it was trained with.
        base_parameters: number of parameters without the top: the part that headstart uses.
        parameters: the same with the top for the 1000 classes of ImageNet; None for a network that never had one.
        alpha: width multiplier, 1.0 for none.
        size_mb: of the weights with top in MB, as documented.
        top1: ImageNet top-1 accuracy in percent, as documented.
        top5: ImageNet top-5 accuracy in percent, as documented.
        batch_norm: whether a network of headstart's own modules has batch normalisation.
        cut: layer of the network with its top that gives the features; None for the last below the top.
        recipe: how its paper trains it from scratch; None for pretrained networks.
        conv_network: the layers of a network whose filters the user lists; None for all others.
    """

    name: str
    constructor: str
    family: Family
    image_size: int
    base_parameters: int
    parameters: int | None = None
    alpha: float = 1.0
    size_mb: int | None = None
    top1: float | None = None
    top5: float | None = None
    batch_norm: bool = False
    cut: str | None = None
    recipe: PublishedRecipe | None = None
    conv_network: ConvNetwork | None = None

    @property
    def module(self) -> str:
        """The module with the constructor."""
        return self.family.module

    @property
    def scaling(self) -> PixelScaling:
        """The scaling of the pixels that its weights expect."""
        return self.family.scaling

    @property
    def has_published_weights(self) -> bool:
        """Whether ImageNet weights are published."""
        return bool(self.family.weights_file)


_ADAM = PublishedRecipe(optimizer="adam", learning_rate=1e-3, batch_size=32)
_LENET = PublishedRecipe(optimizer="sgd", learning_rate=1e-2, batch_size=32)
_ALEXNET = PublishedRecipe(
    optimizer="sgd", learning_rate=1e-2, batch_size=128, weight_decay=5e-4, augment="alexnet", views="crop10"
)  # Krizhevsky 2012, sections 4.1 and 5
_ZFNET = PublishedRecipe(optimizer="sgd", learning_rate=1e-2, batch_size=128)  # Zeiler 2014, section 3
_GOOGLENET = PublishedRecipe(optimizer="sgd", learning_rate=1e-2, batch_size=32, weight_decay=2e-4, head_dropout=0.4)
# fmt: off
BACKBONES: dict[str, Backbone] = {
    "vgg16": Backbone(name="vgg16", constructor="VGG16", image_size=224,
        family=VGG16, parameters=138_357_544, base_parameters=14_714_688, size_mb=528, top1=71.3, top5=90.1),
    "vgg19": Backbone(name="vgg19", constructor="VGG19", image_size=224,
        family=VGG19, parameters=143_667_240, base_parameters=20_024_384, size_mb=549, top1=71.3, top5=90.0),
    "resnet50": Backbone(name="resnet50", constructor="ResNet50", image_size=224,
        family=RESNET, parameters=25_636_712, base_parameters=23_587_712, size_mb=98, top1=74.9, top5=92.1),
    "resnet101": Backbone(name="resnet101", constructor="ResNet101", image_size=224,
        family=RESNET, parameters=44_707_176, base_parameters=42_658_176, size_mb=171, top1=76.4, top5=92.8),
    "resnet152": Backbone(name="resnet152", constructor="ResNet152", image_size=224,
        family=RESNET, parameters=60_419_944, base_parameters=58_370_944, size_mb=232, top1=76.6, top5=93.1),
    "resnet50_v2": Backbone(name="resnet50_v2", constructor="ResNet50V2", image_size=224,
        family=RESNET_V2, parameters=25_613_800, base_parameters=23_564_800, size_mb=98, top1=76.0, top5=93.0),
    "resnet101_v2": Backbone(name="resnet101_v2", constructor="ResNet101V2", image_size=224,
        family=RESNET_V2, parameters=44_675_560, base_parameters=42_626_560, size_mb=171, top1=77.2, top5=93.8),
    "resnet152_v2": Backbone(name="resnet152_v2", constructor="ResNet152V2", image_size=224,
        family=RESNET_V2, parameters=60_380_648, base_parameters=58_331_648, size_mb=232, top1=78.0, top5=94.2),
    "inception_v3": Backbone(name="inception_v3", constructor="InceptionV3", image_size=299,
        family=INCEPTION_V3, parameters=23_851_784, base_parameters=21_802_784, size_mb=92, top1=77.9, top5=93.7),
    "inception_resnet_v2": Backbone(name="inception_resnet_v2", constructor="InceptionResNetV2", image_size=299,
        family=INCEPTION_RESNET, parameters=55_873_736, base_parameters=54_336_736, size_mb=215, top1=80.3, top5=95.3),
    "xception": Backbone(name="xception", constructor="Xception", image_size=299,
        family=XCEPTION, parameters=22_910_480, base_parameters=20_861_480, size_mb=88, top1=79.0, top5=94.5),
    "mobilenet_0.25": Backbone(name="mobilenet_0.25", constructor="MobileNet", image_size=224,
        family=MOBILENET, alpha=0.25, parameters=475_544, base_parameters=218_544, top1=50.6),
    "mobilenet_0.5": Backbone(name="mobilenet_0.5", constructor="MobileNet", image_size=224,
        family=MOBILENET, alpha=0.5, parameters=1_342_536, base_parameters=829_536, top1=63.7),
    "mobilenet_0.75": Backbone(name="mobilenet_0.75", constructor="MobileNet", image_size=224,
        family=MOBILENET, alpha=0.75, parameters=2_601_976, base_parameters=1_832_976, top1=68.4),
    "mobilenet": Backbone(name="mobilenet", constructor="MobileNet", image_size=224,
        family=MOBILENET, parameters=4_253_864, base_parameters=3_228_864, size_mb=16, top1=70.4, top5=89.5),
    "mobilenet_v2_0.35": Backbone(name="mobilenet_v2_0.35", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, alpha=0.35, parameters=1_691_208, base_parameters=410_208, top1=60.3, top5=82.9),
    "mobilenet_v2_0.5": Backbone(name="mobilenet_v2_0.5", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, alpha=0.5, parameters=1_987_224, base_parameters=706_224, top1=65.4, top5=86.4),
    "mobilenet_v2_0.75": Backbone(name="mobilenet_v2_0.75", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, alpha=0.75, parameters=2_663_064, base_parameters=1_382_064, top1=69.8, top5=89.6),
    "mobilenet_v2": Backbone(name="mobilenet_v2", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, parameters=3_538_984, base_parameters=2_257_984, size_mb=14, top1=71.3, top5=90.1),
    "mobilenet_v2_1.3": Backbone(name="mobilenet_v2_1.3", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, alpha=1.3, parameters=5_431_048, base_parameters=3_766_048, top1=74.4, top5=92.1),
    "mobilenet_v2_1.4": Backbone(name="mobilenet_v2_1.4", constructor="MobileNetV2", image_size=224,
        family=MOBILENET_V2, alpha=1.4, parameters=6_156_712, base_parameters=4_363_712, top1=75.0, top5=92.5),
    "mobilenet_v3_small_0.75": Backbone(name="mobilenet_v3_small_0.75", constructor="MobileNetV3Small", image_size=224,
        family=MOBILENET_V3, alpha=0.75, parameters=2_051_552, base_parameters=583_160, top1=65.4),
    "mobilenet_v3_small": Backbone(name="mobilenet_v3_small", constructor="MobileNetV3Small", image_size=224,
        family=MOBILENET_V3, parameters=2_554_968, base_parameters=939_120, top1=68.1),
    "mobilenet_v3_large_0.75": Backbone(name="mobilenet_v3_large_0.75", constructor="MobileNetV3Large", image_size=224,
        family=MOBILENET_V3, alpha=0.75, parameters=4_012_616, base_parameters=1_808_736, top1=73.3),
    "mobilenet_v3_large": Backbone(name="mobilenet_v3_large", constructor="MobileNetV3Large", image_size=224,
        family=MOBILENET_V3, parameters=5_507_432, base_parameters=2_996_352, top1=75.6),
    "densenet121": Backbone(name="densenet121", constructor="DenseNet121", image_size=224,
        family=DENSENET, parameters=8_062_504, base_parameters=7_037_504, size_mb=33, top1=75.0, top5=92.3),
    "densenet169": Backbone(name="densenet169", constructor="DenseNet169", image_size=224,
        family=DENSENET, parameters=14_307_880, base_parameters=12_642_880, size_mb=57, top1=76.2, top5=93.2),
    "densenet201": Backbone(name="densenet201", constructor="DenseNet201", image_size=224,
        family=DENSENET, parameters=20_242_984, base_parameters=18_321_984, size_mb=80, top1=77.3, top5=93.6),
    "nasnet_mobile": Backbone(name="nasnet_mobile", constructor="NASNetMobile", image_size=224,
        family=NASNET, parameters=5_326_716, base_parameters=4_269_716, size_mb=23, top1=74.4, top5=91.9),
    "nasnet_large": Backbone(name="nasnet_large", constructor="NASNetLarge", image_size=331,
        family=NASNET, parameters=88_949_818, base_parameters=84_916_818, size_mb=343, top1=82.5, top5=96.0),
    "efficientnet_b0": Backbone(name="efficientnet_b0", constructor="EfficientNetB0", image_size=224,
        family=EFFICIENTNET, parameters=5_330_571, base_parameters=4_049_571, size_mb=29, top1=77.1, top5=93.3),
    "efficientnet_b1": Backbone(name="efficientnet_b1", constructor="EfficientNetB1", image_size=240,
        family=EFFICIENTNET, parameters=7_856_239, base_parameters=6_575_239, size_mb=31, top1=79.1, top5=94.4),
    "efficientnet_b2": Backbone(name="efficientnet_b2", constructor="EfficientNetB2", image_size=260,
        family=EFFICIENTNET, parameters=9_177_569, base_parameters=7_768_569, size_mb=36, top1=80.1, top5=94.9),
    "efficientnet_b3": Backbone(name="efficientnet_b3", constructor="EfficientNetB3", image_size=300,
        family=EFFICIENTNET, parameters=12_320_535, base_parameters=10_783_535, size_mb=48, top1=81.6, top5=95.7),
    "efficientnet_b4": Backbone(name="efficientnet_b4", constructor="EfficientNetB4", image_size=380,
        family=EFFICIENTNET, parameters=19_466_823, base_parameters=17_673_823, size_mb=75, top1=82.9, top5=96.4),
    "efficientnet_b5": Backbone(name="efficientnet_b5", constructor="EfficientNetB5", image_size=456,
        family=EFFICIENTNET, parameters=30_562_527, base_parameters=28_513_527, size_mb=118, top1=83.6, top5=96.7),
    "efficientnet_b6": Backbone(name="efficientnet_b6", constructor="EfficientNetB6", image_size=528,
        family=EFFICIENTNET, parameters=43_265_143, base_parameters=40_960_143, size_mb=166, top1=84.0, top5=96.8),
    "efficientnet_b7": Backbone(name="efficientnet_b7", constructor="EfficientNetB7", image_size=600,
        family=EFFICIENTNET, parameters=66_658_687, base_parameters=64_097_687, size_mb=256, top1=84.3, top5=97.0),
    "efficientnet_v2_b0": Backbone(name="efficientnet_v2_b0", constructor="EfficientNetV2B0", image_size=224,
        family=EFFICIENTNET_V2_B, parameters=7_200_312, base_parameters=5_919_312, size_mb=29, top1=78.7, top5=94.3),
    "efficientnet_v2_b1": Backbone(name="efficientnet_v2_b1", constructor="EfficientNetV2B1", image_size=240,
        family=EFFICIENTNET_V2_B, parameters=8_212_124, base_parameters=6_931_124, size_mb=34, top1=79.8, top5=95.0),
    "efficientnet_v2_b2": Backbone(name="efficientnet_v2_b2", constructor="EfficientNetV2B2", image_size=260,
        family=EFFICIENTNET_V2_B, parameters=10_178_374, base_parameters=8_769_374, size_mb=42, top1=80.5, top5=95.1),
    "efficientnet_v2_b3": Backbone(name="efficientnet_v2_b3", constructor="EfficientNetV2B3", image_size=300,
        family=EFFICIENTNET_V2_B, parameters=14_467_622, base_parameters=12_930_622, size_mb=59, top1=82.0, top5=95.8),
    "efficientnet_v2_s": Backbone(name="efficientnet_v2_s", constructor="EfficientNetV2S", image_size=384,
        family=EFFICIENTNET_V2, parameters=21_612_360, base_parameters=20_331_360, size_mb=88, top1=83.9, top5=96.7),
    "efficientnet_v2_m": Backbone(name="efficientnet_v2_m", constructor="EfficientNetV2M", image_size=480,
        family=EFFICIENTNET_V2, parameters=54_431_388, base_parameters=53_150_388, size_mb=220, top1=85.3, top5=97.4),
    "efficientnet_v2_l": Backbone(name="efficientnet_v2_l", constructor="EfficientNetV2L", image_size=480,
        family=EFFICIENTNET_V2, parameters=119_027_848, base_parameters=117_746_848, size_mb=479, top1=85.7, top5=97.5),
    "convnext_tiny": Backbone(name="convnext_tiny", constructor="ConvNeXtTiny", image_size=224,
        family=CONVNEXT, parameters=28_589_128, base_parameters=27_820_128, size_mb=109, top1=81.3),
    "convnext_small": Backbone(name="convnext_small", constructor="ConvNeXtSmall", image_size=224,
        family=CONVNEXT, parameters=50_223_688, base_parameters=49_454_688, size_mb=192, top1=82.3),
    "convnext_base": Backbone(name="convnext_base", constructor="ConvNeXtBase", image_size=224,
        family=CONVNEXT, parameters=88_591_464, base_parameters=87_566_464, size_mb=339, top1=85.3),
    "convnext_large": Backbone(name="convnext_large", constructor="ConvNeXtLarge", image_size=224,
        family=CONVNEXT, parameters=197_767_336, base_parameters=196_230_336, size_mb=755, top1=86.3),
    "convnext_xlarge": Backbone(name="convnext_xlarge", constructor="ConvNeXtXLarge", image_size=224,
        family=CONVNEXT, parameters=350_196_968, base_parameters=348_147_968, size_mb=1310, top1=86.7),
    "small_cnn": Backbone(name="small_cnn", constructor="small_cnn", image_size=32,
        family=SMALL, base_parameters=93_920, batch_norm=True, recipe=_ADAM),
    "lenet4": Backbone(name="lenet4", constructor="lenet4", image_size=32,
        family=LENET_4, base_parameters=49_488, recipe=_LENET),
    "lenet5": Backbone(name="lenet5", constructor="lenet5", image_size=32,
        family=LENET, base_parameters=60_000, recipe=_LENET),
    "alexnet": Backbone(name="alexnet", constructor="alexnet", image_size=227,
        family=ALEXNET, parameters=60_965_224, base_parameters=56_868_224, recipe=_ALEXNET),
    "alexnet_bn": Backbone(name="alexnet_bn", constructor="alexnet", image_size=227,
        family=ALEXNET, parameters=60_994_824, base_parameters=56_897_824, batch_norm=True, recipe=_ALEXNET),
    "zfnet": Backbone(name="zfnet", constructor="zfnet", image_size=224,
        family=ZFNET, parameters=62_357_608, base_parameters=58_260_608, recipe=_ZFNET),
    "zfnet_bn": Backbone(name="zfnet_bn", constructor="zfnet", image_size=224,
        family=ZFNET, parameters=62_386_312, base_parameters=58_289_312, batch_norm=True, recipe=_ZFNET),
    "googlenet": Backbone(name="googlenet", constructor="googlenet", image_size=224,
        family=GOOGLENET, parameters=6_998_552, base_parameters=5_973_552, recipe=_GOOGLENET),
    "googlenet_bn": Backbone(name="googlenet_bn", constructor="googlenet", image_size=224,
        family=GOOGLENET, parameters=7_020_392, base_parameters=5_995_392, batch_norm=True, recipe=_GOOGLENET),
}


# fmt: on
