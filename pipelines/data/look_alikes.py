"""Groups look-alikes, which must not stand on both sides of a division: copies, bursts, images of one given group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from models.arrays import FeatureRows, Fingerprints, Flags, HalfRows, Indices
from pipelines.data.groups import keys_of_examples
from pipelines.runs.examples import Example
from pipelines.runs.look_alike_record import LookAlikeRecord, StricterCosine

# Five sets were tried, one of them bursts of 81 grocery products with a test in other shops: folds that keep images
# above 0.85 together choose the features that the test chooses. 0.8 changes the choice on one set of 202 images.
COSINE = 0.85
# Those sets were seen by MobileNetV2, where the median cosine of images of two classes was 0.40: look-alikes are four
# times nearer to each other than such a pair. In other networks all images are nearer (0.61 in MobileNet 0.25, which
# would join half of the T-shirts of one collection at 0.85).
NEARER = 4.0
PAIRS = 4000  # random pairs that the median is taken of
# A class that is one look-alike throughout has images that are nearer by a third, then by two thirds; at last only
# copies and given groups are joined.
STEPS = 3
# The fold that holds out a group trains on the rest of its class: one image of five is the least.
LARGEST_SHARE = 0.8
# Cosines that are in memory at once: 4 MB of them, and 16 MB of pairs where all are look-alikes.
BLOCK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookAlikes:
    """The groups of look-alikes among images.

    Attributes:
        group_of: (images,) number of each image's group, counted from 0 in the order of their first images.
        record: how many there are and how they were found.
    """

    group_of: Indices
    record: LookAlikeRecord


def find_look_alikes(
    examples: Sequence[Example], rows: FeatureRows | HalfRows, class_names: Sequence[str]
) -> LookAlikes:
    """Join images that are identical, near duplicates, of one given group, or of one class with like features.

    Joins hold transitively: an image belongs to the group of any image that it is joined to. Where that makes one
    group of more than `LARGEST_SHARE` of a class, the class gets a stricter cosine, and the record names it.

    Args:
        examples: the images.
        rows: (images, features) of the last layer of a frozen base, clean views.
        class_names: indexed by the examples' labels.
    """
    labels = np.asarray([example.label for example in examples], np.intp)
    sizes = np.bincount(labels, minlength=len(class_names))
    places_of = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    cosines = _list_cosines(rows, labels)
    known = _first_of(keys_of_examples(examples))
    can_be_smaller = ~_is_swallowed(known, labels, sizes)
    step_of = np.zeros(len(class_names), np.intp)
    alike = np.arange(len(examples))
    changed = np.arange(len(class_names))
    while True:
        for label in changed:
            alike[places_of[label]] = join_alike(rows, places_of[label], cosines[step_of[label]])
        first_of = _join(known, alike)
        is_next = _is_swallowed(first_of, labels, sizes) & can_be_smaller & (step_of < len(cosines) - 1)
        changed = np.flatnonzero(is_next)
        if not len(changed):
            break
        step_of[changed] += 1
    first_images, group_of = np.unique(first_of, return_inverse=True)
    record = LookAlikeRecord(
        images=len(examples),
        groups=len(first_images),
        cosine=cosines[0] or COSINE,
        has_given_groups=any(example.group for example in examples),
        has_near_duplicates=any(example.near_duplicate for example in examples),
        stricter=tuple(
            StricterCosine(class_name=class_names[label], cosine=cosines[step_of[label]])
            for label in np.flatnonzero(step_of).tolist()
        ),
    )
    return LookAlikes(group_of=np.asarray(group_of, np.intp), record=record)


def _list_cosines(rows: FeatureRows | HalfRows, labels: Indices) -> tuple[float | None, ...]:
    """The cosines above which images are look-alikes, each stricter than the one before; None joins none."""
    first, second = np.random.default_rng(0).integers(len(labels), size=(2, PAIRS))
    is_other_class = labels[first] != labels[second]
    directions = [rows[places[is_other_class]].astype(np.float32) for places in (first, second)]
    norms = [np.linalg.norm(values, axis=1) for values in directions]
    is_given = norms[0] * norms[1] > 0
    cosine = COSINE
    if is_given.any():
        products = np.einsum("pf,pf->p", *directions)[is_given] / (norms[0] * norms[1])[is_given]
        cosine = max(COSINE, 1 - (1 - float(np.median(products))) / NEARER)
    return (*(round(1 - (1 - cosine) * (STEPS - step) / STEPS, 3) for step in range(STEPS)), None)


def _first_of(keys: Sequence[str]) -> Indices:
    """For each image the first one of the same key."""
    first: dict[str, int] = {}
    return np.asarray([first.setdefault(key, place) for place, key in enumerate(keys)], np.intp)


def _join(*neighbours: Indices) -> Indices:
    """Join each image to its neighbour in each of the arrays, and give for each the first image of its group."""
    count = len(neighbours[0])
    return connect(count, np.tile(np.arange(count), len(neighbours)), np.concatenate(neighbours))


def as_directions(rows: FeatureRows | HalfRows | Fingerprints) -> FeatureRows:
    """Rows (images, features) of length 1; one that is all zero has no direction, stays so, and is like none."""
    directions = rows.astype(np.float32)
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.where(norms > 0, norms, 1)
    return directions


def connect(count: int, first: Indices, second: Indices) -> Indices:
    """For each of `count` nodes the first node of its connected component; `first` and `second` are joined in pairs."""
    graph = coo_matrix((np.ones(len(first), np.bool_), (first, second)), shape=(count, count))
    component_of = connected_components(graph, directed=False)[1]
    _, first_nodes, component_of = np.unique(component_of, return_index=True, return_inverse=True)
    return np.asarray(first_nodes[component_of], np.intp)


def _is_swallowed(first_of: Indices, labels: Indices, sizes: Indices) -> Flags:
    """Whether one group holds nearly the whole class, for each of the classes; `sizes` are their images."""
    pairs, counts = np.unique(labels * len(labels) + first_of, return_counts=True)
    largest = np.zeros_like(sizes)
    np.maximum.at(largest, pairs // len(labels), counts)
    return (largest > LARGEST_SHARE * sizes) & (sizes > 1)


def join_alike(rows: FeatureRows | HalfRows, places: Indices, cosine: float | None) -> Indices:
    """For each of the images at `places`, of one class, the first image of its group of look-alikes.

    Args:
        rows: (images, features), any that tell how much alike images are by their cosine.
        places: of the images that may be joined.
        cosine: above which two of them are; None joins none.
    """
    if cosine is None or len(places) < 2:
        return places
    directions = as_directions(rows[places])
    nodes = first_of = np.arange(len(places))
    size = max(1, BLOCK // len(places))
    for start in range(0, len(places), size):
        # Rows before the block were compared with it already; those that are joined already need no pair.
        is_alike = directions[start : start + size] @ directions[start:].T > cosine
        is_alike &= first_of[start : start + size, None] != first_of[None, start:]
        block, other = np.nonzero(is_alike)
        if len(block):
            first_of = connect(len(places), np.append(nodes, start + block), np.append(first_of, start + other))
    return places[first_of]
