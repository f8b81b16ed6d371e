"""Saves a trained model in formats that other programs read without headstart, and reads them back.

A process without headstart loads this file by its path to read exports, so it imports nothing of headstart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

Tensor: TypeAlias = Any  # TensorFlow ships no types


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """TensorFlow functions that turn files and images into the input of a model; they become part of the export.

    Attributes:
        decode: (scalar string: content of a file, side) -> (side, side, 3) float32 in [0, 255].
        resize: (image (height, width, 3) uint8 or float32, side) -> (side, side, 3) float32 in [0, 255].
    """

    decode: Callable[[Tensor, int], Tensor]
    resize: Callable[[Tensor, int], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """One export format.

    Attributes:
        save: writes the model to a path that does not exist yet.
        versioned: whether an export is a numbered folder, of which a server loads the highest; else it is the file
            `filename`.
        filename: of the file; empty for numbered folders.
        signatures: its functions with their arguments, for the user.
        snippet: a script of five lines that asks an export about `photo.jpg`, with the fields `{path}` of the export,
            `{manifest}`, the run's run.json, and `{side}`, pixels of the square input; empty for none.
        read: (path of the export, contents of image files, the same images as pixels (images, side, side, 3)) -> its
            outputs by name. Those whose name begins with `probabilities` are compared with the model's (images,
            classes); `classes of files` and `class ids of files` go with `probabilities of files`. It runs where
            headstart cannot be imported, so it is a function of a module that imports nothing of headstart.
    """

    save: Callable[[keras.Model, Path, Sequence[str], Preprocessing], None]
    read: Callable[[str, Sequence[bytes], Tensor], dict[str, Tensor]]
    is_versioned: bool
    filename: str
    signatures: tuple[str, ...]
    snippet: str = ""


def save_savedmodel(model: keras.Model, folder: Path, class_names: Sequence[str], preprocessing: Preprocessing) -> None:
    """Write a TensorFlow SavedModel that takes files or images.

    Signatures, which all return `probabilities` (N, classes) float32, `class` (N,) string and `class_id` (N,) int64:

    - `serving_default(image_bytes: string (N,))`: contents of image files; decode, EXIF orientation, resize and
      scaling are inside.
    - `serve_images(images: float32 (N, height, width, 3) in [0, 255])`: images of one size, whichever.
    - `serve_images_uint8(images: uint8 (N, height, width, 3))`: the same for uint8.

    Args:
        model: pixels (batch, side, side, 3) in [0, 255] -> probabilities (batch, classes).
        folder: does not exist yet.
        class_names: in the order of the outputs.
        preprocessing: the functions for files and images.
    """
    import tensorflow as tf

    side = int(model.input_shape[1])
    names = tf.constant(list(class_names))

    def predict(inputs: Tensor, prepare: Callable[[Tensor, int], Tensor]) -> dict[str, Tensor]:
        spec = tf.TensorSpec([side, side, 3], tf.float32)
        prepared = tf.map_fn(lambda image: prepare(image, side), inputs, fn_output_signature=spec)
        probabilities = tf.cast(model(prepared, training=False), tf.float32)
        best = tf.argmax(probabilities, axis=-1)
        return {"probabilities": probabilities, "class": tf.gather(names, best), "class_id": best}

    def serving_default(image_bytes: Tensor) -> dict[str, Tensor]:
        return predict(image_bytes, preprocessing.decode)

    def serve_images(images: Tensor) -> dict[str, Tensor]:
        return predict(images, preprocessing.resize)

    files = tf.TensorSpec([None], tf.string, "image_bytes")
    floats = tf.TensorSpec([None, None, None, 3], tf.float32, "images")
    functions = {
        "serving_default": tf.function(serving_default, [files], autograph=False),
        "serve_images": tf.function(serve_images, [floats], autograph=False),
        "serve_images_uint8": tf.function(
            serve_images, [tf.TensorSpec(floats.shape, tf.uint8, "images")], autograph=False
        ),
    }
    # Not `keras.export.ExportArchive`: it writes every weight twice (Keras 3.15).
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def save_keras(model: keras.Model, path: Path, class_names: Sequence[str], preprocessing: Preprocessing) -> None:
    """Write a `.keras` file: pixels (batch, side, side, 3) in [0, 255] -> probabilities; scaling is inside.

    Args:
        model: pixels (batch, side, side, 3) in [0, 255] -> probabilities (batch, classes).
        path: ends in `.keras`; in a temporary folder, which Keras uses too.
        class_names: not written: the format has no place for them.
        preprocessing: not written: the file takes pixels.
    """
    # Inside: the process that checks an export has this file and nothing else of headstart.
    from models.model_file import write_model

    write_model(model, path, path.parent)


def read_savedmodel(path: str, contents: Sequence[bytes], pixels: Tensor) -> dict[str, Tensor]:
    """Compute the outputs of a SavedModel for image files and for pixels, by name."""
    import tensorflow as tf

    signatures = tf.saved_model.load(path).signatures
    of_files = signatures["serving_default"](image_bytes=tf.constant(contents))
    of_pixels = signatures["serve_images"](images=tf.constant(pixels))
    return {
        "probabilities of files": of_files["probabilities"].numpy(),
        "classes of files": of_files["class"].numpy().astype(bytes),
        "class ids of files": of_files["class_id"].numpy(),
        "probabilities of pixels": of_pixels["probabilities"].numpy(),
    }


def read_keras(path: str, contents: Sequence[bytes], pixels: Tensor) -> dict[str, Tensor]:
    """Compute the probabilities of a `.keras` file for pixels, by name."""
    import keras

    model = keras.models.load_model(path, compile=False)
    return {"probabilities of pixels": model.predict_on_batch(pixels)}


EXPORTERS: dict[str, Exporter] = {
    "savedmodel": Exporter(
        save=save_savedmodel,
        read=read_savedmodel,
        is_versioned=True,
        filename="",
        signatures=(
            "serving_default(image_bytes: string[N])",
            "serve_images(images: float32[N, height, width, 3])",
            "serve_images_uint8(images: uint8[N, height, width, 3])",
        ),
        snippet="""\
import tensorflow as tf
model = tf.saved_model.load({path!r})
with open("photo.jpg", "rb") as file:
    answer = model.signatures["serving_default"](image_bytes=tf.constant([file.read()]))
print(answer["class"].numpy()[0].decode(), answer["probabilities"].numpy().max())""",
    ),
    "keras": Exporter(
        save=save_keras,
        read=read_keras,
        is_versioned=False,
        filename="model.keras",
        signatures=("pixels: float32[N, side, side, 3]",),
        snippet="""\
import json, keras
model = keras.models.load_model({path!r})
image = keras.utils.load_img("photo.jpg", target_size=({side}, {side}), interpolation="bilinear")
best = model.predict(keras.utils.img_to_array(image)[None]).argmax()
print(json.load(open({manifest!r}))["class_names"][best])""",
    ),
}
