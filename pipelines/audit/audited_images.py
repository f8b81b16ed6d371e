"""Reads every file of a data set once, and keeps of each what the audit needs: about two kilobytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.audit.traits import Traits, take_traits
from pipelines.data.decoded_files import CheckedFile, Decoding, check_files
from pipelines.data.listing import ListedFile, Listing
from pipelines.images.fingerprint import LENGTH
from pipelines.images.readable import MAX_PIXELS
from pipelines.runs.examples import Example, Skipped
from pipelines.system.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedImage:
    """A readable image.

    Attributes:
        file: as listed.
        sha256: of its content, hexadecimal.
        source: the file that TensorFlow decodes.
        fingerprint: as `pipelines.images.fingerprint` gives it.
        traits: of the file and its pixels.
    """

    file: ListedFile
    sha256: str
    source: str
    fingerprint: bytes
    traits: Traits

    @property
    def example(self) -> Example:
        """The image as an example; its part counts for nothing."""
        file = self.file
        return Example(
            path=file.path,
            label=file.label,
            split=file.split or "train",
            sha256=self.sha256,
            source=self.source,
            group=file.group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedData:
    """The files of a data set, read.

    Attributes:
        listing: all files.
        images: those that are readable, in the listing's order.
        skipped: the others.
    """

    listing: Listing
    images: tuple[AuditedImage, ...]
    skipped: tuple[Skipped, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Indexed by the labels of the files."""
        return self.listing.class_names

    def class_counts(self) -> dict[str, int]:
        """Class -> its readable images."""
        counts = Counter(image.file.label for image in self.images)
        return {name: counts[label] for label, name in enumerate(self.class_names)}


def read_images(listing: Listing, reporter: Reporter, workers: int | None = None) -> AuditedData:
    """Read, hash and measure every file with several threads; a content that was decoded before is not checked again.

    Args:
        listing: the files.
        reporter: shows a progress bar.
        workers: threads; by default two more than there are cores.

    Raises:
        UserError: the cache cannot be written.
    """
    traits_of: dict[str, Traits] = {}

    def examine(checked: CheckedFile, content: bytes) -> None:
        traits_of[checked.file.path] = take_traits(content)

    decoding = Decoding(max_pixels=MAX_PIXELS, is_fingerprinted=True, examine=examine)
    checked = check_files(listing.files, decoding, reporter, workers)
    return AuditedData(
        listing=listing,
        images=tuple(_image(file, traits_of[file.file.path]) for file in checked if file.reason is None),
        skipped=_skipped(checked),
    )


def _image(checked: CheckedFile, traits: Traits) -> AuditedImage:
    return AuditedImage(
        file=checked.file,
        sha256=checked.sha256,
        source=checked.source,
        fingerprint=checked.fingerprint or bytes(LENGTH),
        traits=traits,
    )


def _skipped(checked: Sequence[CheckedFile]) -> tuple[Skipped, ...]:
    return tuple(Skipped(path=file.file.path, reason=file.reason) for file in checked if file.reason is not None)
