"""Open every listed file once, before training: what is no image is named and left out, the rest gets its part.

A content that was decoded before is not decoded again (a ledger in headstart's cache remembers it), so that a second
training of the same images needs no more than reading them. Nothing is written beside the user's images.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from models.errors import UserError
from models.machine import cores
from pipelines.data.known_images import DecodeResult, KnownImages, open_known_images
from pipelines.data.listing import ListedFile, Listing
from pipelines.data.split import divide
from pipelines.images.readable import DECODE_VERSION, MAX_PIXELS, UnreadableImage, read_file, readable_content
from pipelines.runs.examples import SPLITS, Dataset, Example, Skipped, Split
from pipelines.system.cache import transcoded_file, write_cache_file
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import one_line
from pipelines.system.versions import versions

# Files a round: large enough to keep every thread busy, small enough that Ctrl-C and the bar answer at once.
ROUND = 128


def check(
    listing: Listing,
    *,
    strict: bool = False,
    for_training: bool = True,
    max_pixels: int = MAX_PIXELS,
    reporter: Reporter | None = None,
    workers: int | None = None,
) -> Dataset:
    """Read, hash and decode each listed file once, leave out what is no image, and give each image its part.

    The division is that of `pipelines.data.split`: by content, 80/10/10, unless the parts are given.

    Args:
        listing: from `pipelines.data.scan.scan`.
        strict: an unreadable file is an error.
        for_training: False, for evaluation: given parts are kept, images without one are all `test`, and classes may
            lack images.
        max_pixels: a file whose header announces more is refused before it is decoded.
        reporter: shown a progress bar.
        workers: threads; by default two more than there are cores.

    Returns:
        The dataset. `Example.source` is the user's file, or a lossless PNG of it in the cache where TensorFlow does
        not read its format. `skipped` names the files left out, each with a reason.

    Raises:
        UserError: no readable image, or none in some class; unreadable files under `strict`; a class too small to
            divide; a cache that cannot be written.
    """
    findings = _examine(listing.entries, max_pixels, reporter or Silent(), workers or _threads())
    skipped = tuple(
        Skipped(path=entry.path, reason=finding.reason)
        for entry, finding in zip(listing.entries, findings, strict=True)
        if finding.reason is not None
    )
    if strict and skipped:
        raise _strict_error(listing, skipped)
    found = [pair for pair in zip(listing.entries, findings, strict=True) if pair[1].reason is None]
    if for_training or not found:
        _require_images(listing, [entry for entry, _ in found], skipped)
    readable = [(entry, finding.sha256) for entry, finding in found]
    parts: list[Split] = [entry.split or "test" for entry, _ in found]
    remarks: list[str] = []
    if for_training:
        parts, remarks = divide(readable, listing.class_names)
    examples = [
        Example(path=entry.path, label=entry.label, split=part, sha256=finding.sha256, source=finding.source)
        for (entry, finding), part in zip(found, parts, strict=True)
    ]
    return Dataset(
        root=listing.root,
        origin=listing.origin,
        class_names=listing.class_names,
        examples=tuple(sorted(examples, key=lambda each: (SPLITS.index(each.split), each.path))),
        skipped=tuple(sorted(skipped, key=lambda each: each.path)),
        remarks=(*listing.remarks, *remarks),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one file turned out to be; `verdict` is set when it is new to the ledger."""

    sha256: str
    source: str
    reason: str | None
    verdict: DecodeResult | None = None


def _examine(entries: Sequence[ListedFile], max_pixels: int, reporter: Reporter, workers: int) -> list[_Finding]:
    known = versions()
    # A verdict holds for these versions and this limit; under others the content is decoded again.
    judge = f"{DECODE_VERSION}/{max_pixels}/{known['tensorflow']}/{known['pillow']}"
    findings: list[_Finding] = []
    with (
        # Filters are the process's: set once here, what the threads save and restore around Pillow is always this.
        warnings.catch_warnings(action="ignore"),
        open_known_images(judge) as ledger,
        ThreadPoolExecutor(workers, thread_name_prefix="check") as pool,
        reporter.task("checking images", len(entries)) as task,
    ):
        for some_entries in _rounds(entries):
            new = list(pool.map(lambda entry: _find(entry.path, ledger, max_pixels), some_entries))
            ledger.record(finding.verdict for finding in new if finding.verdict)
            findings.extend(new)
            task.advance(len(new))
    return findings


def _find(path: str, ledger: KnownImages, max_pixels: int) -> _Finding:
    try:
        content = read_file(path)
    except UnreadableImage as unreadable:
        return _Finding("", "", unreadable.reason)
    sha256 = hashlib.sha256(content).hexdigest()
    verdict = ledger.known(sha256)
    png = transcoded_file(sha256)
    if verdict and not (verdict.transcoded and not png.is_file()):
        return _Finding(sha256, str(png) if verdict.transcoded else path, verdict.reason)
    reason, transcoded = None, False
    try:
        readable = readable_content(content, max_pixels)
    except UnreadableImage as unreadable:
        reason = unreadable.reason
    else:
        transcoded = readable is not content
        if transcoded:
            write_cache_file(png, readable)
    new = DecodeResult(sha256=sha256, reason=reason, transcoded=transcoded)
    return _Finding(sha256, str(png) if transcoded else path, reason, new)


def _require_images(listing: Listing, readable: Iterable[ListedFile], skipped: Sequence[Skipped]) -> None:
    """Refuse data in which a class has no readable image, with the reason of one of its files."""
    held = {entry.label for entry in readable}
    reasons = {each.path: each.reason for each in skipped}
    for label, name in enumerate(listing.class_names):
        if label in held:
            continue
        lost = next((entry for entry in listing.entries if entry.label == label), None)
        example = f", such as `{one_line(lost.path)}`: {reasons[lost.path]}" if lost else ""
        count = sum(entry.label == label for entry in listing.entries)
        which = f"class `{one_line(name)}`" if held else f"`{one_line(listing.root)}`"
        raise UserError(
            f"{which} has no readable image among {count if held else len(listing.entries):,} files{example}",
            "put images into it, or take the class out" if held else "JPEG, PNG, GIF, BMP, WebP and TIFF are read",
        )


def _strict_error(listing: Listing, skipped: Sequence[Skipped]) -> UserError:
    first = "; ".join(f"`{one_line(each.path)}`: {each.reason}" for each in skipped[:3])
    rest = f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else ""
    return UserError(
        f"{len(skipped):,} of {len(listing.entries):,} files of `{one_line(listing.root)}` are no readable images: "
        f"{first}{rest}",
        "mend or remove them, or go on without --strict to leave them out",
    )


def _rounds(entries: Sequence[ListedFile]) -> Iterator[list[ListedFile]]:
    waiting = iter(entries)
    while chunk := list(islice(waiting, ROUND)):
        yield chunk


def _threads() -> int:
    return min(cores() + 2, 32)
