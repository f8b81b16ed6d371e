"""Lists the families of backbones, with the scaling and the weights file names of each (plain data, no Keras)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# The scaling of pixels in [0, 255] that the first convolution was trained on:
# - caffe: RGB to BGR, minus the ImageNet mean;
# - tf: to [-1, 1];
# - torch: to [0, 1], then standardised by ImageNet's mean and deviation;
# - half: x / 128 - 1;
# - grey: one channel, white to -0.1 and black to 1.175, as in LeNet-5;
# - inside: the constructor scales, and has no option to turn that off.
PixelScaling: TypeAlias = Literal["caffe", "tf", "torch", "half", "grey", "inside"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the networks of an architecture share.

    Attributes:
        name: for people.
        module: with `preprocess_input` for Keras' networks, with the constructor for those of headstart.
        scaling: of the pixels, as its weights expect it.
        min_size: the smallest side in pixels that the constructor takes.
        weights_file: Keras' name of the ImageNet weights without top; fields `name` (the key in `BACKBONES`), `lower`
            (the constructor in lower case), `variant` (the part after `prefix`), `alpha`, `tenths` (alpha as `7_5`),
            `size`. Empty when no weights are published.
        top_weights_file: of the weights with the top, where features of fully connected layers come from them; the same
            fields.
        fully_connected: `fc6` and `fc7` -> the layer that gives its features; empty without such layers.
        prefix: the part of the constructor's name that all networks of the family share.
        weights_sizes: input sides with weights of their own; other sides take those of 224. Empty: one file for all.
        has_width_multiplier: whether the constructor takes `alpha`.
        has_preprocessing_option: whether the constructor takes `include_preprocessing`, to turn its own scaling off.
    """

    name: str
    module: str
    scaling: PixelScaling
    weights_file: str
    min_size: int = 32
    top_weights_file: str = ""
    fully_connected: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    weights_sizes: tuple[int, ...] = ()
    has_width_multiplier: bool = False
    has_preprocessing_option: bool = False


_KERAS = "keras.applications."
_TF_KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
# Simonyan and Zisserman number neither; these are AlexNet's sixth and seventh layer, and by custom theirs.
_VGG_FULLY_CONNECTED = {"fc6": "fc1", "fc7": "fc2"}
_CLASSIC_FULLY_CONNECTED = {"fc6": "block6_dropout", "fc7": "block7_dropout"}
VGG16 = Family(
    name="VGG",
    module=_KERAS + "vgg16",
    scaling="caffe",
    weights_file="{lower}" + _TF_KERNELS,
    top_weights_file="{lower}" + _TF_KERNELS.replace("_notop", ""),
    fully_connected=_VGG_FULLY_CONNECTED,
)
VGG19 = Family(
    name="VGG",
    module=_KERAS + "vgg19",
    scaling="caffe",
    weights_file="{lower}" + _TF_KERNELS,
    top_weights_file="{lower}" + _TF_KERNELS.replace("_notop", ""),
    fully_connected=_VGG_FULLY_CONNECTED,
)
RESNET = Family(
    name="ResNet",
    module=_KERAS + "resnet",
    scaling="caffe",
    weights_file="{lower}" + _TF_KERNELS,
)
RESNET_V2 = Family(
    name="ResNet V2",
    module=_KERAS + "resnet_v2",
    scaling="tf",
    weights_file="{lower}" + _TF_KERNELS,
)
INCEPTION_V3 = Family(
    name="Inception",
    module=_KERAS + "inception_v3",
    scaling="tf",
    min_size=75,
    weights_file="{name}" + _TF_KERNELS,
)
INCEPTION_RESNET = Family(
    name="Inception-ResNet",
    module=_KERAS + "inception_resnet_v2",
    scaling="tf",
    min_size=75,
    weights_file="{name}" + _TF_KERNELS,
)
XCEPTION = Family(
    name="Xception",
    module=_KERAS + "xception",
    scaling="tf",
    min_size=71,
    weights_file="{name}" + _TF_KERNELS,
)
MOBILENET = Family(
    name="MobileNet",
    module=_KERAS + "mobilenet",
    scaling="tf",
    has_width_multiplier=True,
    weights_file="mobilenet_{tenths}_{size}_tf_no_top.h5",
    weights_sizes=(128, 160, 192, 224),
)
MOBILENET_V2 = Family(
    name="MobileNet V2",
    module=_KERAS + "mobilenet_v2",
    scaling="tf",
    has_width_multiplier=True,
    weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{size}_no_top.h5",
    weights_sizes=(96, 128, 160, 192, 224),
)
MOBILENET_V3 = Family(
    name="MobileNet V3",
    module=_KERAS + "mobilenet_v3",
    scaling="tf",
    has_width_multiplier=True,
    weights_file="weights_mobilenet_v3_{variant}_224_{alpha}_float_no_top_v2.h5",
    prefix="MobileNetV3",
    has_preprocessing_option=True,
)
DENSENET = Family(
    name="DenseNet",
    module=_KERAS + "densenet",
    scaling="torch",
    weights_file="{lower}" + _TF_KERNELS,
)
NASNET = Family(
    name="NASNet",
    module=_KERAS + "nasnet",
    scaling="tf",
    weights_file="{name}_no_top.h5",
)
EFFICIENTNET = Family(
    name="EfficientNet",
    module=_KERAS + "efficientnet",
    scaling="inside",
    weights_file="{lower}_notop.h5",
)
EFFICIENTNET_V2_B = Family(
    name="EfficientNet V2",
    module=_KERAS + "efficientnet_v2",
    scaling="torch",
    weights_file="efficientnetv2-{variant}_notop.h5",
    prefix="EfficientNetV2",
    has_preprocessing_option=True,
)
EFFICIENTNET_V2 = Family(
    name="EfficientNet V2",
    module=_KERAS + "efficientnet_v2",
    scaling="half",
    weights_file="efficientnetv2-{variant}_notop.h5",
    prefix="EfficientNetV2",
    has_preprocessing_option=True,
)
CONVNEXT = Family(
    name="ConvNeXt",
    module=_KERAS + "convnext",
    scaling="torch",
    weights_file="{name}_notop.h5",
    has_preprocessing_option=True,
)
# Networks written out in `models.classics`, `models.lenet` and `models.googlenet`, trained from scratch.
SMALL = Family(name="small CNN", module="models.classics", scaling="tf", min_size=8, weights_file="")
LENET_4 = Family(name="LeNet", module="models.lenet", scaling="grey", min_size=16, weights_file="")
LENET = Family(name="LeNet", module="models.lenet", scaling="grey", min_size=32, weights_file="")
ALEXNET = Family(
    name="AlexNet",
    module="models.classics",
    scaling="torch",
    min_size=67,
    weights_file="",
    fully_connected=_CLASSIC_FULLY_CONNECTED,
)
ZFNET = Family(
    name="ZFNet",
    module="models.classics",
    scaling="torch",
    min_size=53,
    weights_file="",
    fully_connected=_CLASSIC_FULLY_CONNECTED,
)
GOOGLENET = Family(name="GoogLeNet", module="models.googlenet", scaling="torch", min_size=32, weights_file="")
