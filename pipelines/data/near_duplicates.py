"""Groups the near duplicates of a class: images that are five times more alike than two images of it commonly are.

They are found by the fingerprints that the check of the images takes: the same for every network, without a pass
through one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import HalfRows, Indices
from pipelines.data.look_alikes import join_alike
from pipelines.images.fingerprint import LENGTH
from pipelines.system.text import counted, name_list

# Cosines of fingerprints above which images of a class are near duplicates; a class has the least of them that is at
# least so many times nearer to 1 than the median of its pairs. Steps, and not any number: an image that is added hardly
# ever changes the one of its class. In a collection of 3,781 photographs the median is 0.71 to 0.78, and 0.96 joins
# what is recompressed, resized or brightened (99 %), cropped by 5 % (8 of 10), taken again from nearly the same place
# (half), and series of one background and framing.
COSINES = (0.96, 0.98, 0.99, 0.995)
NEARER = 5.0
# A class of which one group would hold more gets the next cosine: with fewer groups than parts it cannot be divided.
LARGEST_SHARE = 1 / 3
PAIRS = 4000  # random pairs that the median is taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """The near duplicates among images.

    Attributes:
        stand_in: for each image the content hash that stands for its group; None where it has no near duplicate.
        way: how they were found, for people.
    """

    stand_in: tuple[str | None, ...]
    way: str


def find_near_duplicates(
    contents: Sequence[str], labels: Sequence[int], fingerprints: Sequence[bytes], class_names: Sequence[str]
) -> NearDuplicates:
    """Join images of one class whose fingerprints have a great cosine, transitively.

    The result depends on neither the order nor the names of the images. Identical images alone are not near
    duplicates: `pipelines.data.groups` knows them.

    Args:
        contents: (images,) SHA-256 of their content, hexadecimal.
        labels: (images,) their classes.
        fingerprints: (images,) as `pipelines.images.fingerprint` gives them.
        class_names: indexed by the labels.
    """
    rows = np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, LENGTH).astype(np.float16)
    order = np.asarray(sorted(range(len(contents)), key=lambda place: contents[place]), np.intp)
    classes = np.asarray(labels, np.intp)[order]
    stand_in: list[str | None] = [None] * len(contents)
    stricter = []
    for label in np.unique(classes).tolist():
        places = order[classes == label]
        cosine, first_of = _join_class(rows[places])
        if cosine != COSINES[0]:
            stricter.append(class_names[label])
        for first in np.unique(first_of).tolist():
            members = places[first_of == first].tolist()
            if len({contents[place] for place in members}) > 1:
                for place in members:
                    stand_in[place] = contents[members[0]]
    way = f"alike by their edges, with a cosine above {COSINES[0]:g}"
    if stricter:
        way += f", a greater one in {counted(len(stricter), 'class', 'classes')} of like images: {name_list(stricter)}"
    return NearDuplicates(stand_in=tuple(stand_in), way=way)


def _join_class(rows: HalfRows) -> tuple[float | None, Indices]:
    """The cosine of a class, None where none is joined, and for each of its images the first one of its group."""
    everything = np.arange(len(rows))
    typical = _typical_cosine(rows)
    for cosine in COSINES:
        if NEARER * (1 - cosine) > 1 - typical:
            continue
        first_of = join_alike(rows, everything, cosine)
        if np.bincount(first_of).max() <= max(1.0, LARGEST_SHARE * len(rows)):
            return cosine, first_of
    return None, everything


def _typical_cosine(rows: HalfRows) -> float:
    """The median cosine of two images; 1 where there are no two with edges."""
    if len(rows) * (len(rows) - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(len(rows), 1)
    else:
        first, second = np.random.default_rng(0).integers(len(rows), size=(2, PAIRS))
        first, second = first[first != second], second[first != second]
    directions = [rows[places].astype(np.float32) for places in (first, second)]
    lengths = np.prod([np.linalg.norm(values, axis=1) for values in directions], axis=0)
    has_edges = lengths > 0
    if not has_edges.any():
        return 1.0
    return float(np.median(np.einsum("pf,pf->p", *directions)[has_edges] / lengths[has_edges]))
