"""Lists a TensorFlow dataset, whose encoded images are copied once as files into headstart's cache."""

from __future__ import annotations

import re
from pathlib import Path

from models.errors import UserError
from pipelines.data.listing import PART_NAMES, ListedFile, Listing, natural_order
from pipelines.data.tfds_files import Description, copied_images, newest_copy
from pipelines.runs.examples import Split
from pipelines.system.progress import Reporter
from pipelines.system.text import name_list, one_line

_NAME = re.compile(r"tfds:(?P<name>[a-z0-9_]+(/[a-zA-Z0-9_.\-]+)?)(:(?P<version>[0-9]+\.[0-9]+\.[0-9]+))?")


def read_tfds(data: str, reporter: Reporter) -> Listing:
    """List the images of a TensorFlow dataset.

    The first time, TensorFlow Datasets prepares the dataset (from `TFDS_DATA_DIR` or its own folder; it is downloaded
    where it is missing), and its images are written, encoded as they are, into headstart's cache. An interrupted copy
    is resumed. Later calls list the copy alone, and TensorFlow is not imported.

    Args:
        data: `tfds:NAME[/CONFIG][:VERSION]`; without a version the newest copy, or the default of TFDS.
        reporter: gets a note of what is prepared and copied, and the progress.

    Raises:
        UserError: no such dataset, no `image` and `label` in it, no way to download it, or a full disk.
    """
    matched = _NAME.fullmatch(data)
    if not matched:
        raise UserError(
            f"`{one_line(data)}` does not name a TensorFlow dataset", "write `tfds:NAME` or `tfds:NAME:1.0.0`"
        )
    name, version = matched["name"], matched["version"]
    copy = newest_copy(name, version)
    if copy is None:
        # Inside: it imports TensorFlow.
        from pipelines.data.tfds_copy import copy_tfds

        copy = copy_tfds(data, name, version, reporter)
    return _listing(data, copy)


def _listing(data: str, copy: Path) -> Listing:
    description = Description.of_copy(copy)
    names = natural_order(description.class_names)
    labels = [names.index(name) for name in description.class_names]
    given: dict[str, Split] = {part: PART_NAMES[part] for part in description.parts if part in PART_NAMES}
    # One part alone is divided by content.
    has_given_parts = len(given) > 1 and "train" in given
    remarks = list(description.remarks)
    if ignored := [part for part in description.parts if part not in given]:
        remarks.append(f"ignored: the parts {name_list(ignored)} of `{data}`")
    files = tuple(
        ListedFile(path=str(path), label=labels[label], split=split if has_given_parts else None)
        for part, split in given.items()
        for _, label, path in sorted(copied_images(copy / part))
    )
    return Listing(root=data, origin="tfds", class_names=tuple(names), files=files, remarks=tuple(remarks))
