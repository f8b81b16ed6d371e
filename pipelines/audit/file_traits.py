"""Turns what is not content of images into columns: size, format, camera, JPEG quality, colours, numbering."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Doubles, Labels
from pipelines.audit.audited_images import AuditedImage

_NUMBER = re.compile(r"\d+")
LONGEST_NUMBER = 15  # digits: longer ones are hashes or times, and do not fit a float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraitColumns:
    """What a model of traits sees.

    Attributes:
        values: (images, columns).
        columns_of: trait -> its columns; a trait that is the same for all images is missing.
    """

    values: Doubles
    columns_of: dict[str, tuple[int, ...]]


def trait_columns(images: Sequence[AuditedImage], labels: Labels) -> TraitColumns:
    """The traits of images, without those that are the same for all.

    Args:
        images: to describe.
        labels: (images,) their classes: where each class is numbered from its own start, the numbers are left out.
    """
    lights = [image.traits.light for image in images]
    blank = (128.0, 128.0, 128.0)
    tables = [image.traits.quantisation for image in images]
    columns: dict[str, list[list[float]]] = {
        "file size": [_logs([image.traits.num_bytes for image in images])],
        "format": [_codes([image.traits.encoding for image in images])],
        "width and height": [
            _logs([image.traits.width for image in images]),
            _logs([image.traits.height for image in images]),
            [image.traits.width / image.traits.height for image in images],
        ],
        "camera in EXIF": [
            _codes([image.traits.camera for image in images]),
            [float(image.traits.orientation) for image in images],
        ],
        "JPEG quality": [[first for first, _ in tables], [others for _, others in tables]],
        "colour of the border": _colours([light.border if light else blank for light in lights]),
        "mean colour": _colours([light.mean if light else blank for light in lights]),
        "number in the file name": [_numbers([image.file.path for image in images], labels)],
    }
    values: list[list[float]] = []
    columns_of = {}
    for trait, lists in columns.items():
        varied = [column for column in lists if min(column) < max(column)]
        if varied:
            columns_of[trait] = tuple(range(len(values), len(values) + len(varied)))
            values += varied
    return TraitColumns(
        values=np.asarray(values, np.float64).reshape(len(values), len(images)).T, columns_of=columns_of
    )


def _logs(counts: Sequence[int]) -> list[float]:
    return [math.log(max(count, 1)) for count in counts]


def _codes(words: Sequence[str]) -> list[float]:
    """A number for each word, in the order of their frequency: trees cut between any two of them."""
    counts = Counter(words)
    codes = {word: float(code) for code, word in enumerate(sorted(counts, key=lambda word: (counts[word], word)))}
    return [codes[word] for word in words]


def _colours(colours: Sequence[tuple[float, float, float]]) -> list[list[float]]:
    return [[colour[channel] for colour in colours] for channel in range(3)]


def _numbers(paths: Sequence[str], labels: Labels) -> list[float]:
    """The last number in each file name, -1 without one; all of them -1 where each class counts from its start."""
    numbers = np.full(len(paths), -1.0)
    for place, path in enumerate(paths):
        digits = _NUMBER.findall(os.path.basename(path).rsplit(".", 1)[0])
        if digits and len(digits[-1]) <= LONGEST_NUMBER:
            numbers[place] = float(digits[-1])
    # Numbers up to the size of the class tell how large it is, and nothing else.
    starts = [numbers[labels == label].min() for label in np.unique(labels)]
    return [-1.0] * len(paths) if max(starts) <= 1 else numbers.tolist()
