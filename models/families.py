"""Families of backbones: what the members of an architecture share. Plain data, no Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Pixels = Literal["caffe", "tf", "torch", "half", "grey", "inside"]


"""How pixels in [0, 255] become what the first convolution was trained on.

caffe: RGB to BGR, minus the ImageNet mean. tf: to [-1, 1]. torch: to [0, 1], then ImageNet mean and deviation.
half: x / 128 - 1. grey: one channel, white to -0.1 and black to 1.175, as LeNet-5 has it. inside: the constructor
does it itself and cannot be told not to.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the members of an architecture share.

    Attributes:
        name: for people.
        module: where the constructor and `preprocess_input` lie.
        pixels: the scaling its weights expect.
        min_size: the smallest side in pixels the constructor takes.
        weights_file: Keras' name of the ImageNet weights without top; fields `name` (our key), `lower` (the
            constructor in lower case), `variant` (what follows `prefix`), `alpha`, `tenths` (alpha as `7_5`), `size`.
            Empty when no weights are published.
        prefix: the part of the constructor's name that all members share.
        weights_sizes: input sides that have weights of their own; others take the one of 224. Empty: one file for all.
        preprocessing: whether the constructor has an `include_preprocessing` to switch off.
    """

    name: str
    module: str
    pixels: Pixels
    weights_file: str
    min_size: int = 32
    prefix: str = ""
    weights_sizes: tuple[int, ...] = ()
    preprocessing: bool = False


_KERAS = "keras.applications."
_TF_KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG16 = Family(
    name="VGG",
    module=_KERAS + "vgg16",
    pixels="caffe",
    weights_file="{lower}" + _TF_KERNELS,
)
VGG19 = Family(
    name="VGG",
    module=_KERAS + "vgg19",
    pixels="caffe",
    weights_file="{lower}" + _TF_KERNELS,
)
RESNET = Family(
    name="ResNet",
    module=_KERAS + "resnet",
    pixels="caffe",
    weights_file="{lower}" + _TF_KERNELS,
)
RESNET_V2 = Family(
    name="ResNet V2",
    module=_KERAS + "resnet_v2",
    pixels="tf",
    weights_file="{lower}" + _TF_KERNELS,
)
INCEPTION_V3 = Family(
    name="Inception",
    module=_KERAS + "inception_v3",
    pixels="tf",
    min_size=75,
    weights_file="{name}" + _TF_KERNELS,
)
INCEPTION_RESNET = Family(
    name="Inception-ResNet",
    module=_KERAS + "inception_resnet_v2",
    pixels="tf",
    min_size=75,
    weights_file="{name}" + _TF_KERNELS,
)
XCEPTION = Family(
    name="Xception",
    module=_KERAS + "xception",
    pixels="tf",
    min_size=71,
    weights_file="{name}" + _TF_KERNELS,
)
MOBILENET = Family(
    name="MobileNet",
    module=_KERAS + "mobilenet",
    pixels="tf",
    weights_file="mobilenet_{tenths}_{size}_tf_no_top.h5",
    weights_sizes=(128, 160, 192, 224),
)
MOBILENET_V2 = Family(
    name="MobileNet V2",
    module=_KERAS + "mobilenet_v2",
    pixels="tf",
    weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{size}_no_top.h5",
    weights_sizes=(96, 128, 160, 192, 224),
)
MOBILENET_V3 = Family(
    name="MobileNet V3",
    module=_KERAS + "mobilenet_v3",
    pixels="tf",
    weights_file="weights_mobilenet_v3_{variant}_224_{alpha}_float_no_top_v2.h5",
    prefix="MobileNetV3",
    preprocessing=True,
)
DENSENET = Family(
    name="DenseNet",
    module=_KERAS + "densenet",
    pixels="torch",
    weights_file="{lower}" + _TF_KERNELS,
)
NASNET = Family(
    name="NASNet",
    module=_KERAS + "nasnet",
    pixels="tf",
    weights_file="{name}_no_top.h5",
)
EFFICIENTNET = Family(
    name="EfficientNet",
    module=_KERAS + "efficientnet",
    pixels="inside",
    weights_file="{lower}_notop.h5",
)
EFFICIENTNET_V2_B = Family(
    name="EfficientNet V2",
    module=_KERAS + "efficientnet_v2",
    pixels="torch",
    weights_file="efficientnetv2-{variant}_notop.h5",
    prefix="EfficientNetV2",
    preprocessing=True,
)
EFFICIENTNET_V2 = Family(
    name="EfficientNet V2",
    module=_KERAS + "efficientnet_v2",
    pixels="half",
    weights_file="efficientnetv2-{variant}_notop.h5",
    prefix="EfficientNetV2",
    preprocessing=True,
)
CONVNEXT = Family(
    name="ConvNeXt",
    module=_KERAS + "convnext",
    pixels="torch",
    weights_file="{name}_notop.h5",
    preprocessing=True,
)
# Networks of our own: written down in `models.classics` and `models.googlenet`, trained from scratch.
SMALL = Family(name="small CNN", module="models.classics", pixels="tf", min_size=8, weights_file="")
LENET = Family(name="LeNet", module="models.classics", pixels="grey", min_size=32, weights_file="")
ALEXNET = Family(name="AlexNet", module="models.classics", pixels="torch", min_size=67, weights_file="")
ZFNET = Family(name="ZFNet", module="models.classics", pixels="torch", min_size=53, weights_file="")
GOOGLENET = Family(name="GoogLeNet", module="models.googlenet", pixels="torch", min_size=32, weights_file="")
