"""Decodes every listed file once before training, reports the unreadable ones and splits the rest.

An image that was decoded before is not decoded again (`pipelines.data.known_images` remembers it), so that a second
training on the same images only reads and hashes them. Nothing is written into the user's folder.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from models.errors import UserError
from models.machine import count_cores
from pipelines.data.known_images import DecodeResult, KnownImages, open_known_images
from pipelines.data.listing import ListedFile, Listing
from pipelines.data.split import divide
from pipelines.images.readable import DECODE_VERSION, MAX_PIXELS, UnreadableImage, read_file, readable_content
from pipelines.runs.examples import SPLITS, Dataset, Example, Skipped, Split
from pipelines.system.cache import mark_used, transcoded_file, write_cache_file
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import counted, one_line
from pipelines.system.versions import versions

# Files per chunk: large enough to keep every thread busy, small enough that Ctrl-C and the bar answer at once.
CHUNK = 128


def check(
    listing: Listing,
    *,
    strict: bool = False,
    for_training: bool = True,
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
    checked = _check_files(listing.files, max_pixels, reporter or Silent(), workers or _threads())
    skipped = tuple(Skipped(path=item.file.path, reason=item.reason) for item in checked if item.reason is not None)
    if strict and skipped:
        raise _strict_error(listing, skipped)
    images = [image for image in checked if image.reason is None]
    if for_training or not images:
        _require_images(listing, {image.file.label for image in images}, skipped)
    parts: list[Split] = [image.file.split or "test" for image in images]
    remarks: list[str] = []
    if for_training:
        parts, remarks = divide([(image.file, image.sha256) for image in images], listing.class_names)
    examples = [image.example(part) for image, part in zip(images, parts, strict=True)]
    return Dataset(
        root=listing.root,
        origin=listing.origin,
        class_names=listing.class_names,
        examples=tuple(sorted(examples, key=lambda example: (SPLITS.index(example.split), example.path))),
        skipped=tuple(sorted(skipped, key=lambda skipped_file: skipped_file.path)),
        remarks=(*listing.remarks, *remarks),
        has_given_validation=any(file.split == "validation" for file in listing.files),
    )


@dataclass(frozen=True, slots=True)
class _CheckedFile:
    """A file and whether it is a readable image.

    Attributes:
        file: as listed.
        sha256: of its content, hexadecimal; empty where it cannot be read.
        source: the file that TensorFlow decodes; empty where it cannot be read.
        reason: why it is not a readable image; None where it is one.
        new_result: where its content was decoded now, the result to remember.
    """

    file: ListedFile
    sha256: str
    source: str
    reason: str | None
    new_result: DecodeResult | None = None

    def example(self, part: Split) -> Example:
        """The image as an example of a part."""
        file = self.file
        return Example(
            path=file.path, label=file.label, split=part, sha256=self.sha256, source=self.source, group=file.group
        )


def _check_files(files: Sequence[ListedFile], max_pixels: int, reporter: Reporter, workers: int) -> list[_CheckedFile]:
    """Check the files with several threads, and remember after each chunk what was decoded."""
    checked: list[_CheckedFile] = []
    with (
        # Filters are the process's: set once here, what the threads save and restore around Pillow is always this.
        warnings.catch_warnings(action="ignore"),
        open_known_images(_decoder(max_pixels)) as known_images,
        ThreadPoolExecutor(workers, thread_name_prefix="check") as pool,
        reporter.task("checking images", len(files)) as task,
    ):
        for chunk in _chunks(files):
            results = list(pool.map(lambda file: _check_file(file, known_images, max_pixels), chunk))
            known_images.add(result.new_result for result in results if result.new_result)
            checked.extend(results)
            task.advance(len(results))
        if known_images.is_rebuilt:
            reporter.warn("the list of images that decode was damaged: it is made anew, every image was decoded again")
    return checked


def _decoder(max_pixels: int) -> str:
    """Names everything that decides whether a content decodes; under another name it is decoded again."""
    installed = versions()
    return f"{DECODE_VERSION}/{max_pixels}/{installed['tensorflow']}/{installed['pillow']}"


def _check_file(file: ListedFile, known_images: KnownImages, max_pixels: int) -> _CheckedFile:
    try:
        content = read_file(file.path)
    except UnreadableImage as unreadable:
        return _CheckedFile(file, "", "", unreadable.reason)
    sha256 = hashlib.sha256(content).hexdigest()
    png = transcoded_file(sha256)
    known = known_images.get(sha256)
    is_complete = known is not None and (not known.transcoded or png.is_file())
    result = known if known is not None and is_complete else _decode(content, sha256, max_pixels)
    source = str(png) if result.transcoded else file.path
    if result.transcoded:
        mark_used(png)
    return _CheckedFile(file, sha256, source, result.reason, None if result is known else result)


def _decode(content: bytes, sha256: str, max_pixels: int) -> DecodeResult:
    """Decode a content, and write the PNG that TensorFlow needs of some."""
    try:
        readable = readable_content(content, max_pixels)
    except UnreadableImage as unreadable:
        return DecodeResult(sha256=sha256, reason=unreadable.reason, transcoded=False)
    is_transcoded = readable is not content
    if is_transcoded:
        write_cache_file(transcoded_file(sha256), readable)
    return DecodeResult(sha256=sha256, reason=None, transcoded=is_transcoded)


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


def _chunks(files: Sequence[ListedFile]) -> Iterator[list[ListedFile]]:
    remaining = iter(files)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _threads() -> int:
    return min(count_cores() + 2, 32)
