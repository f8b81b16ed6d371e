"""Decodes every listed file once before training, reports the unreadable ones and splits the rest.

An image that was decoded before is not decoded again (`pipelines.data.known_images` remembers it), so that a second
training on the same images only reads and hashes them. Nothing is written into the user's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.data.decoded_files import CheckedFile, Decoding, check_files
from pipelines.data.listing import Listing
from pipelines.data.split import divide
from pipelines.images.fingerprint import LENGTH
from pipelines.images.readable import MAX_PIXELS
from pipelines.runs.examples import SPLITS, Dataset, Skipped, Split
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import counted, one_line

if TYPE_CHECKING:
    from pipelines.data.near_duplicates import NearDuplicates

MANY = 1000  # images from which on near duplicates take long enough to be waited for: 3 s of 2,600 on a busy machine


def check(
    listing: Listing,
    *,
    strict: bool = False,
    for_training: bool = True,
    joins_near_duplicates: bool = True,
    max_pixels: int = MAX_PIXELS,
    reporter: Reporter | None = None,
    workers: int | None = None,
) -> Dataset:
    """Read, hash and decode each listed file once, leave out unreadable ones, and give each image its part.

    The division is that of `pipelines.data.split`: by content or group, 80/10/10, unless the parts are given.

    Args:
        listing: from `pipelines.data.scan.scan`.
        strict: whether an unreadable file is an error.
        for_training: False, for evaluation: given parts are kept, images without one are all `test`, and classes may
            lack images.
        joins_near_duplicates: False divides as before near duplicates were known: identical images and those of one
            given group alone stay together.
        max_pixels: a file whose header announces more is refused before it is decoded.
        reporter: shows a progress bar.
        workers: threads; by default two more than there are cores.

    Returns:
        The data set. `Example.source` is the user's file, or a lossless PNG of it in the cache where TensorFlow does
        not read its format. `skipped` names the files left out, each with a reason.

    Raises:
        UserError: no readable image, or none in some class; unreadable files under `strict`; a class too small to
            divide; a cache that cannot be written.
    """
    is_fingerprinted = for_training and joins_near_duplicates
    decoding = Decoding(max_pixels=max_pixels, is_fingerprinted=is_fingerprinted)
    checked = check_files(listing.files, decoding, reporter or Silent(), workers)
    skipped = tuple(Skipped(path=item.file.path, reason=item.reason) for item in checked if item.reason is not None)
    if strict and skipped:
        raise _strict_error(listing, skipped)
    images = [image for image in checked if image.reason is None]
    if for_training or not images:
        _require_images(listing, {image.file.label for image in images}, skipped)
    parts: list[Split] = [image.file.split or "test" for image in images]
    remarks: list[str] = []
    stand_in: Sequence[str | None] = [None] * len(images)
    if for_training:
        near = _find_near_duplicates(images, listing.class_names, reporter) if is_fingerprinted else None
        parts, remarks = divide([(image.file, image.sha256) for image in images], listing.class_names, near)
        if near is not None:
            stand_in = near.stand_in
    examples = [image.example(part, like) for image, part, like in zip(images, parts, stand_in, strict=True)]
    return Dataset(
        root=listing.root,
        origin=listing.origin,
        class_names=listing.class_names,
        examples=tuple(sorted(examples, key=lambda example: (SPLITS.index(example.split), example.path))),
        skipped=tuple(sorted(skipped, key=lambda skipped_file: skipped_file.path)),
        remarks=(*listing.remarks, *remarks),
        has_given_validation=any(file.split == "validation" for file in listing.files),
    )


def _find_near_duplicates(
    images: Sequence[CheckedFile], class_names: Sequence[str], reporter: Reporter | None
) -> NearDuplicates:
    # Inside: it imports SciPy, and TensorFlow, which takes longer, is imported while images are decoded.
    from pipelines.data.near_duplicates import find_near_duplicates

    with nullcontext() if reporter is None or len(images) < MANY else reporter.task("near duplicates", None):
        return find_near_duplicates(
            [image.sha256 for image in images],
            [image.file.label for image in images],
            [image.fingerprint or bytes(LENGTH) for image in images],
            class_names,
        )


def _require_images(listing: Listing, labels: set[int], skipped: Iterable[Skipped]) -> None:
    """Refuse data in which a class has no readable image, with the reason of one of its files.

    Args:
        listing: all files.
        labels: the classes that have readable images.
        skipped: the files that are not readable.
    """
    missing = next((label for label in range(len(listing.class_names)) if label not in labels), None)
    if missing is None:
        return
    reasons = {skipped_file.path: skipped_file.reason for skipped_file in skipped}
    files = [file for file in listing.files if file.label == missing]
    example = f", such as `{one_line(files[0].path)}`: {reasons[files[0].path]}" if files else ""
    if labels:
        subject, count = f"class `{one_line(listing.class_names[missing])}`", len(files)
    else:
        subject, count = f"`{one_line(listing.root)}`", len(listing.files)
    raise UserError(
        f"{subject} has no readable image among {counted(count, 'file')}{example}",
        "add images to it, or remove the class" if labels else "JPEG, PNG, GIF, BMP, WebP and TIFF are read",
    )


def _strict_error(listing: Listing, skipped: Sequence[Skipped]) -> UserError:
    first = "; ".join(f"`{one_line(skipped_file.path)}`: {skipped_file.reason}" for skipped_file in skipped[:3])
    others = f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return UserError(
        f"{len(skipped):,} of {len(listing.files):,} files of `{one_line(listing.root)}` are not readable images: "
        f"{first}{others}",
        "fix or remove them, or omit --strict to leave them out",
    )
