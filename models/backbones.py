"""Builds backbones, and loads them from files: pixels in [0, 255] in, features out, the scaling inside."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, first_line
from models.keras_private import keras_home_at_import
from models.model_file import read_model, require_readable
from models.pixel_scaling import DEVIATION, MEAN, scale_pixels
from models.weights import is_cached, keras_home, missing_weights_error, weights_file
from models.zoo import Backbone

if TYPE_CHECKING:
    import keras

IMAGENET_CLASSES = 1000


def build_backbone(
    backbone: Backbone,
    *,
    weights: str | Path = "imagenet",
    image_size: int | None = None,
) -> keras.Model:
    """Build an entry of `BACKBONES`.

    Args:
        backbone: the entry.
        weights: `imagenet` for the published weights, through Keras' own cache and download; `none` for random ones;
            or a file saved from the same architecture without its top, or with it where `backbone.cut` is a layer of it
            (`.h5`, `.weights.h5` or `.keras`).
        image_size: side of the square input in pixels; None for the backbone's default.

    Returns:
        A flat functional model named `backbone`: pixels (batch, size, size, 3) float32 in [0, 255] -> feature map
        (batch, h, w, channels), or features (batch, d) for a network that ends in fully connected layers.

    Raises:
        UserError: the weights are missing or do not fit, or the input is too small for the network.
    """
    size = image_size or backbone.image_size
    if size < backbone.family.min_size:
        raise UserError(
            f"`{backbone.name}` takes images of {backbone.family.min_size} pixels or more, not {size}",
            "choose a larger image size, or a backbone for small images such as `mobilenet_v2`",
        )
    if weights == "imagenet":
        return _cut(_imagenet(backbone, size), backbone)
    model = _construct(backbone, size, None)
    if weights != "none":
        _load_weights(model, Path(weights), backbone)
    _complete_scaling(model, backbone, from_file=weights != "none")
    return _cut(model, backbone)


def build_with_top(backbone: Backbone, image_size: int | None = None) -> keras.Model:
    """Build a network with its top for ImageNet and random weights, to list its layers.

    Its weights are the `parameters` of the entry. A network that never had such a top ends in its features.

    Args:
        backbone: an entry of `BACKBONES`, or a small network.
        image_size: side of the square input in pixels; None for the backbone's default.
    """
    return _construct(backbone, image_size or backbone.image_size, None, include_top=True)


def load_backbone(path: Path) -> keras.Model:
    """Take the backbone out of a trained model of the user's.

    Args:
        path: the folder of a run, or a `.keras` file. The backbone of a file that headstart did not write is the part
            below its last Dense layer, and takes pixels in [0, 255]: nothing in the file says whether it scales them,
            so a model that expects scaled pixels must be saved with its scaling as a layer.

    Returns:
        A model named `backbone`, as `build_backbone` returns it.

    Raises:
        UserError: the model is missing, needs foreign code to load, or lacks a Dense layer or a (height, width, 3)
            input.
    """
    from models.levels import remove_levels
    from models.mirror import without_mirror
    from models.splitting import below_last_dense

    file = path / "model.keras" if path.is_dir() else path
    with _quiet():
        model = read_model(file, "give the folder of a finished run, or a `.keras` file")
    import keras

    inner = next((layer for layer in model.layers if layer.name == "backbone" and isinstance(layer, keras.Model)), None)
    if inner is None:
        inner = below_last_dense(model, file)
    if (single := without_mirror(inner)) is not None:
        inner = single.get_layer("backbone")
    shape = inner.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] != 3:
        raise UserError(f"`{file}` takes {shape} and not images of shape (height, width, 3)", "use an image model")
    if shape[1] is None or shape[1] != shape[2]:
        raise UserError(f"`{file}` takes images of {shape[1]} x {shape[2]} pixels", "save it with a fixed square input")
    inner = remove_levels(inner)
    inner.name = "backbone"
    return inner


def _cut(model: keras.Model, backbone: Backbone) -> keras.Model:
    """End a network in the layer that its backbone's features come from; what lies above is dropped."""
    import keras

    if backbone.cut is None:
        return model
    return keras.Model(model.inputs[0], model.get_layer(backbone.cut).output, name="backbone")


def _imagenet(backbone: Backbone, size: int) -> keras.Model:
    file = weights_file(backbone, size)
    if is_cached(backbone, size) and (not os.access(keras_home(), os.W_OK) or keras_home_at_import() != keras_home()):
        # Keras ignores a cache that it cannot write to, and a KERAS_HOME set after its import.
        return build_backbone(backbone, weights=file, image_size=size)
    try:
        return _construct(backbone, size, "imagenet")
    except UserError:
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        if is_cached(backbone, size):
            raise missing_weights_error(backbone, size, f"`{file}` does not fit: {first_line(error)}") from error
        raise missing_weights_error(backbone, size, f"the download failed: {first_line(error)}") from error


def _construct(backbone: Backbone, size: int, weights: str | None, *, include_top: bool = False) -> keras.Model:
    import keras

    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = scale_pixels(pixels, backbone.scaling)
    if not backbone.module.startswith("keras."):
        network = getattr(importlib.import_module(backbone.module), backbone.constructor)
        options: dict[str, object] = {"batch_norm": backbone.batch_norm}
        if backbone.conv_network is not None:
            options = {"network": backbone.conv_network}
        features = network(scaled, **options)
        outputs = _imagenet_top(features, backbone) if include_top and backbone.parameters else features
        return keras.Model(pixels, outputs, name="backbone")
    constructor = getattr(keras.applications, backbone.constructor)
    given: dict[str, float] = {"alpha": backbone.alpha} if backbone.family.has_width_multiplier else {}
    if backbone.family.has_preprocessing_option:
        given["include_preprocessing"] = False
    with _quiet():
        inner = constructor(
            include_top=include_top or backbone.cut is not None,
            weights=weights,
            input_tensor=scaled,
            input_shape=(size, size, 3),
            **given,
        )
    return keras.Model(pixels, inner.output, name="backbone")


def _imagenet_top(features: keras.KerasTensor, backbone: Backbone) -> keras.KerasTensor:
    """The layers above a classic's features that its paper classifies ImageNet with; Keras builds those of its own."""
    from keras import layers

    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D(name="avg_pool")(features)
    if backbone.recipe and backbone.recipe.head_dropout:
        features = layers.Dropout(backbone.recipe.head_dropout, name="dropout")(features)
    return layers.Dense(IMAGENET_CLASSES, activation="softmax", name="predictions")(features)


def _complete_scaling(model: keras.Model, backbone: Backbone, *, from_file: bool) -> None:
    """Give EfficientNet the scaling that Keras adds only when it loads the ImageNet weights itself.

    Keras divides by the square root of the deviation twice: in the `Normalization` layer, whose variance comes from the
    published file, and in a `Rescaling` layer that only `weights="imagenet"` adds. Here the first does both.
    """
    import keras

    if backbone.scaling != "inside":
        return
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    variance = keras.ops.convert_to_numpy(layer.adapt_variance).ravel()
    if from_file and not all(
        abs(value - deviation) < 1e-4 for value, deviation in zip(variance, DEVIATION, strict=True)
    ):
        return  # The weights were trained with another scaling.
    layer.adapt_mean.assign(keras.ops.reshape(MEAN, layer.adapt_mean.shape))
    layer.adapt_variance.assign(
        keras.ops.reshape([deviation**2 for deviation in DEVIATION], layer.adapt_variance.shape)
    )
    layer.finalize_state()


def _load_weights(model: keras.Model, file: Path, backbone: Backbone) -> None:
    hint = "give a weights file, `--weights imagenet` or `--weights none`"
    require_readable(file, hint)
    try:
        with _quiet():
            if file.suffix == ".keras":
                saved = read_model(file, hint)
                model.set_weights(saved.get_weights()[: len(model.weights)])
            else:
                model.load_weights(file)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # What h5py raises on a damaged file has any type.
        raise UserError(
            f"`{file}` does not fit `{backbone.name}`: {first_line(error)}",
            f"give weights of the same architecture, saved {'with' if backbone.cut else 'without'} its top",
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings (MobileNet's about input sizes) and stdout; the bar of a download goes to the terminal's stderr."""
    bar = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(bar):
        warnings.simplefilter("ignore")
        yield
