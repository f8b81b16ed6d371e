"""Lists the user's images, their classes and their parts without opening an image (no NumPy, no TensorFlow)."""

from __future__ import annotations

import os
from dataclasses import replace

from models.errors import UserError
from pipelines.data.class_names import lookalikes
from pipelines.data.csv_file import read_csv
from pipelines.data.folders import LAYOUT, read_folder
from pipelines.data.listing import Listing
from pipelines.data.walk import list_folder
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import name_list, one_line

TFDS = "tfds:"


def scan(data: str, *, for_training: bool = True, reporter: Reporter | None = None) -> Listing:
    """List the candidate images of DATA.

    Args:
        data: a folder with one subfolder per class; a folder with `train/`, `validation/` (or `val/`, `valid/`) and
            `test/` of such folders; a CSV with `path,label[,split][,group]`; or `tfds:NAME[:VERSION]`, whose images are
            copied as files into headstart's cache the first time (only then is TensorFlow imported).
        for_training: False, for evaluation, allows one class, classes without images, and parts whose classes differ.
        reporter: gets the progress of a download.

    Returns:
        The listing. Every visible file of a class is in it, at any depth, once: the content decides later which
        are images.

    Raises:
        UserError: says what DATA lacks and names the file or folder.
    """
    require_data(data)
    if data.startswith(TFDS):
        # Inside: it is needed for this kind of data alone.
        from pipelines.data.tfds import read_tfds

        listing = read_tfds(data, reporter or Silent())
    elif os.path.isdir(data):
        listing = read_folder(data, for_training=for_training)
    else:
        listing = _read_file(data, for_training=for_training)
    if for_training and len(listing.class_names) < 2:
        raise UserError(
            f"`{one_line(data)}` has one class, {name_list(listing.class_names)}: a classifier needs at least two",
            _layout_hint(data, listing),
        )
    if for_training:
        return replace(listing, remarks=(*listing.remarks, *lookalikes(listing.class_names)))
    return listing


def require_data(data: str) -> None:
    """Refuse DATA that is not there: the first mistake to name, before the weights that a network lacks.

    Raises:
        UserError: it is neither a folder nor a file.
    """
    if data.startswith(TFDS) or os.path.isdir(data) or os.path.isfile(data):
        return
    if os.path.lexists(data):
        raise UserError(f"`{one_line(data)}` is neither a folder nor a file", LAYOUT)
    raise UserError(f"`{one_line(data)}` does not exist", f"{LAYOUT}, or `tfds:NAME` for a TensorFlow dataset")


def _read_file(data: str, *, for_training: bool) -> Listing:
    with open(data, "rb") as file:
        start = file.read(512)
    if b"\0" in start:
        raise UserError(
            f"`{one_line(data)}` is neither a folder nor a CSV",
            f"{LAYOUT}; unpack an archive, save a CSV as UTF-8",
        )
    return read_csv(data, for_training=for_training)


def _layout_hint(data: str, listing: Listing) -> str:
    """Suggest the folder below where that is the one with class folders; else describe the layout."""
    if listing.origin == "folders":
        inner = os.path.join(data, listing.class_names[0])
        if len(list_folder(inner)[0]) > 1:
            return f"did you mean `{one_line(inner)}`?"
    return LAYOUT
