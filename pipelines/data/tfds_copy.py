"""Copies the encoded images of a TensorFlow dataset as files into headstart's cache."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeAlias

import tensorflow_datasets as tfds
from absl import logging

from models.errors import UserError
from pipelines.data.listing import PART_NAMES
from pipelines.data.tfds_files import DESCRIPTION, Description, copied_images, copy_folder
from pipelines.system.cache import write_cache_file, writing_to_cache
from pipelines.system.progress import Reporter
from pipelines.system.text import counted, name_list

IMAGES_PER_FOLDER = 10_000
Builder: TypeAlias = Any  # TensorFlow Datasets ships no types
FeatureConnector: TypeAlias = Any  # likewise


def copy_tfds(data: str, name: str, version: str | None, reporter: Reporter) -> Path:
    """Copy the labelled images of a dataset's parts, and resume a copy that was interrupted.

    Args:
        data: what the user typed, for messages.
        name: with the configuration, if any.
        version: None for the default of TFDS.
        reporter: gets a note of what is prepared and copied, and the progress.

    Returns:
        The folder of the copy.

    Raises:
        UserError: no such dataset, no `image` and `label` in it, no way to download it, or a full disk.
    """
    builder = _prepared_builder(data, name, version, reporter)
    folder = copy_folder(name) / str(builder.version)
    reporter.note(f"copying the images of `{data}` to `{folder}`, once")
    parts = {part: info.num_examples for part, info in builder.info.splits.items()}
    used = [part for part in parts if part in PART_NAMES]
    if not used:
        raise UserError(f"`{data}` has no part named train, validation or test", f"it has {name_list(parts)}")
    remarks = []
    for part in used:
        unlabelled = _copy_part(builder, part, folder / part, parts[part], reporter)
        if unlabelled:
            remarks.append(f"ignored: {counted(unlabelled, 'image')} without a label in the part `{part}` of `{data}`")
    labelled = [part for part in used if any(folder.joinpath(part).glob("*/*.img"))]
    description = Description(
        class_names=_class_names(data, builder.info.features),
        parts=labelled + [part for part in parts if part not in used],
        remarks=remarks,
        prepared=str(builder.data_dir),
    )
    write_cache_file(folder / DESCRIPTION, description.to_json())
    return folder


def _prepared_builder(data: str, name: str, version: str | None, reporter: Reporter) -> Builder:
    full_name = f"{name}:{version}" if version else name
    with _explained(data), _quiet():
        builder = tfds.builder(full_name, data_dir=os.environ.get("TFDS_DATA_DIR"))
        _class_names(data, builder.info.features)  # before the download, which may take hours
        if not builder.is_prepared():
            reporter.note(f"preparing `{data}` in `{builder.data_dir}`: {builder.info.download_size} to download")
            tfds.disable_progress_bar()
            builder.download_and_prepare()
    return builder


@contextmanager
def _explained(data: str) -> Iterator[None]:
    """Turn the exceptions of TFDS into a UserError."""
    try:
        yield
    except UserError:
        raise
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(
            f"unknown TensorFlow dataset: `{data}`", "see `tfds.list_builders()`; for a folder omit `tfds:`"
        ) from error
    except Exception as error:  # the exceptions of TFDS and of its downloads have no common type
        lines = str(error).strip().splitlines()
        raise UserError(
            f"`{data}` cannot be prepared: {type(error).__name__}: {lines[0] if lines else 'no details'}",
            "prepare it on a machine with internet, and set TFDS_DATA_DIR to the folder it is in",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TFDS prints off stdout, which is for data, and its warnings about missing side files off stderr."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(before)


def _class_names(data: str, features: FeatureConnector) -> list[str]:
    by_name = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = by_name.get("image"), by_name.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise UserError(
            f"`{data}` is not a set of labelled images: it has no image `image` with a class `label`",
            f"it has {name_list(by_name) or type(features).__name__}",
        )
    return list(label.names)


def _copy_part(builder: Builder, part: str, folder: Path, total: int, reporter: Reporter) -> int:
    """Write the encoded images of a part, except those already there; return how many have no label."""
    copied = {number for number, _, _ in copied_images(folder)}
    # One shard after the other and no shuffling: the numbers mean the same images when a copy is resumed.
    order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    images = builder.as_dataset(
        split=part, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False, read_config=order
    )
    unlabelled = 0
    with reporter.task(f"copying {part}", total) as task:
        for number, image in enumerate(images.as_numpy_iterator()):
            label = int(image["label"])
            task.advance()
            if label < 0:
                unlabelled += 1
            elif number not in copied:
                path = folder / f"{number // IMAGES_PER_FOLDER:04d}" / f"{number:08d}-{label}.img"
                write_cache_file(path, image["image"])
    with writing_to_cache():
        folder.mkdir(parents=True, exist_ok=True)
    return unlabelled
