"""Labelled images and their parts, as plain records (no NumPy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.runs.ranges import NonNegativeInt, Sha256

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# What `evaluate` may be asked for.
Part = Literal["auto", "all", "train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One labelled image.

    Attributes:
        path: the user's file, absolute; non-UTF-8 bytes as surrogates (`os.fsencode` gives the bytes back).
        label: index into `Dataset.class_names`.
        split: the part it belongs to.
        sha256: of the file's content, hexadecimal.
        source: the file that TensorFlow decodes: `path` itself, or a lossless PNG in headstart's cache
            for formats that TensorFlow does not read (TIFF, most BMP variants).
        group: of images that belong together, such as those of one person, as the user names it; None without one.
        near_duplicate: the content hash that stands for all near duplicates of the image; None where it has none.
    """

    path: str
    label: NonNegativeInt
    split: Split
    sha256: Sha256
    source: str
    group: str | None = None
    near_duplicate: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An image left out, and why (a phrase without the path)."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Images, their classes and their parts. Class order is fixed here, once.

    Attributes:
        root: what the user typed (a folder, a CSV file or `tfds:NAME`).
        origin: how it was read.
        class_names: in natural order (`item2` before `item10`).
        examples: sorted by path within each split.
        skipped: files that are not readable images.
        has_given_validation: whether the validation part is the user's; it may come from where the model will be used.
        remarks: lines the user should read (images that are in two parts, images with two labels,
            images moved so that each part has every class); kept in `run.json`.
    """

    root: str
    origin: Literal["folders", "split folders", "csv", "tfds"]
    class_names: tuple[str, ...]
    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...] = ()
    remarks: tuple[str, ...] = ()
    has_given_validation: bool = False

    def part(self, split: Split) -> tuple[Example, ...]:
        """The examples of one split; empty when the data has none."""
        return tuple(example for example in self.examples if example.split == split)
