"""Reads, hashes and decodes files with several threads, and remembers of each content whether it is an image."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from models.machine import count_cores
from pipelines.data.known_images import DecodeResult, KnownImages, open_known_images
from pipelines.data.listing import ListedFile
from pipelines.images.fingerprint import fingerprint
from pipelines.images.readable import DECODE_VERSION, UnreadableImage, decode_content, read_file
from pipelines.runs.examples import Example, Split
from pipelines.system.cache import mark_used, transcoded_file, write_cache_file
from pipelines.system.progress import Reporter
from pipelines.system.versions import versions

# Files per chunk: large enough to keep every thread busy, small enough that Ctrl-C and the bar answer at once.
CHUNK = 128


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file and whether it is a readable image.

    Attributes:
        file: as listed.
        sha256: of its content, hexadecimal; empty where it cannot be read.
        source: the file that TensorFlow decodes; empty where it cannot be read.
        reason: why it is not a readable image; None where it is one.
        fingerprint: of the image; None where it cannot be read, or is not asked for.
        new_result: where its content was decoded now, the result to remember.
    """

    file: ListedFile
    sha256: str
    source: str
    reason: str | None
    fingerprint: bytes | None = None
    new_result: DecodeResult | None = None

    def example(self, part: Split, near_duplicate: str | None) -> Example:
        """The image as an example of a part."""
        return Example(
            path=self.file.path,
            label=self.file.label,
            split=part,
            sha256=self.sha256,
            source=self.source,
            group=self.file.group,
            near_duplicate=near_duplicate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """What is wanted of a file.

    Attributes:
        max_pixels: a file whose header announces more is refused before it is decoded.
        is_fingerprinted: whether an image must have a fingerprint; one that was decoded before there were any is
            decoded again.
        examine: called with each readable image and its content, in one of the threads; nothing by default.
    """

    max_pixels: int
    is_fingerprinted: bool
    examine: Callable[[CheckedFile, bytes], None] | None = None


def check_files(
    files: Sequence[ListedFile], decoding: Decoding, reporter: Reporter, workers: int | None
) -> list[CheckedFile]:
    """Check files with several threads, and remember after each chunk what was decoded.

    Args:
        files: as listed.
        decoding: what is wanted of them.
        reporter: shows a progress bar.
        workers: threads; by default two more than there are cores.

    Raises:
        UserError: the cache cannot be written.
    """
    checked: list[CheckedFile] = []
    with (
        # Filters are the process's: set once here, what the threads save and restore around Pillow is always this.
        warnings.catch_warnings(action="ignore"),
        open_known_images(_decoder(decoding.max_pixels)) as known_images,
        ThreadPoolExecutor(workers or _threads(), thread_name_prefix="check") as pool,
        reporter.task("checking images", len(files)) as task,
    ):
        for chunk in _chunks(files):
            results = list(pool.map(lambda file: _check_file(file, known_images, decoding), chunk))
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


def _check_file(file: ListedFile, known_images: KnownImages, decoding: Decoding) -> CheckedFile:
    try:
        content = read_file(file.path)
    except UnreadableImage as unreadable:
        return CheckedFile(file, "", "", unreadable.reason)
    sha256 = hashlib.sha256(content).hexdigest()
    png = transcoded_file(sha256)
    known = known_images.get(sha256)
    is_complete = known is not None and (not known.transcoded or png.is_file())
    if known is not None and known.reason is None and decoding.is_fingerprinted and known.fingerprint is None:
        is_complete = False
    result = known if known is not None and is_complete else _decode(content, sha256, decoding.max_pixels)
    source = str(png) if result.transcoded else file.path
    if result.transcoded:
        mark_used(png)
    checked = CheckedFile(file, sha256, source, result.reason, result.fingerprint, None if result is known else result)
    if decoding.examine is not None and checked.reason is None:
        decoding.examine(checked, content)
    return checked


def _decode(content: bytes, sha256: str, max_pixels: int) -> DecodeResult:
    """Decode a content, take its fingerprint, and write the PNG that TensorFlow needs of some."""
    try:
        decoded = decode_content(content, max_pixels)
    except UnreadableImage as unreadable:
        return DecodeResult(sha256=sha256, reason=unreadable.reason, transcoded=False)
    is_transcoded = decoded.content is not content
    if is_transcoded:
        write_cache_file(transcoded_file(sha256), decoded.content)
    return DecodeResult(
        sha256=sha256,
        reason=None,
        transcoded=is_transcoded,
        fingerprint=fingerprint(decoded.pixels, decoded.orientation),
    )


def _chunks(files: Sequence[ListedFile]) -> Iterator[list[ListedFile]]:
    remaining = iter(files)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _threads() -> int:
    return min(count_cores() + 2, 32)
