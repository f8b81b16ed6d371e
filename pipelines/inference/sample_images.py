"""Reads the images of a run that an export is compared on."""

from __future__ import annotations

from collections.abc import Sequence

from models.errors import UserError
from pipelines.images.readable import UnreadableImage, readable_bytes
from pipelines.runs.examples import Split
from pipelines.runs.manifest import Manifest
from pipelines.runs.split_file import read_split

NUM_IMAGES = 16
# The parts of a run in the order in which their images are taken.
SAMPLED_PARTS: tuple[Split, ...] = ("validation", "test", "train")


def read_samples(paths: Sequence[str], limit: int = NUM_IMAGES) -> list[bytes]:
    """The contents of the first `limit` readable images of `paths`.

    Raises:
        UserError: none of them is readable.
    """
    contents: list[bytes] = []
    for path in paths:
        if len(contents) == limit:
            break
        try:
            contents.append(readable_bytes(path))
        except UnreadableImage:
            continue
    if not contents:
        raise UserError(
            f"none of {len(paths):,} images to compare the export on can be read"
            + (f": `{paths[0]}`" if paths else ""),
            "an export is only trusted after a comparison with its run on real images: name some",
        )
    return contents


def read_sample(path: str) -> bytes:
    """The content of an image that the user named.

    Raises:
        UserError: it is not readable.
    """
    try:
        return readable_bytes(path)
    except UnreadableImage as unreadable:
        raise UserError(f"`{path}` cannot be compared on: {unreadable.reason}", "name other images") from unreadable


def images_of_run(run: str, manifest: Manifest) -> list[str]:
    """Paths of the run's images, part by part; the first ones are spread over the length of their part."""
    examples = read_split(run, manifest.class_names)
    spread = []
    for part in SAMPLED_PARTS:
        paths = [example.path for example in examples if example.split == part]
        step = max(1, len(paths) // NUM_IMAGES)
        spread += [path for start in range(step) for path in paths[start::step]]
    return spread
