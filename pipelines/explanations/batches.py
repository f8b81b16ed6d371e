"""Explains batches of pictures by several methods; the first one says which class is predicted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from pipelines.explanations.methods import Method
from pipelines.explanations.network import Network
from pipelines.explanations.pictures import Picture
from pipelines.explanations.records import Explain, Explained
from pipelines.explanations.written import Answer

if TYPE_CHECKING:
    from models.arrays import Labels

PREDICTED = -1


def build_explainers(
    methods: Mapping[str, Method], network: Network, layer: str | None
) -> tuple[dict[str, Method], dict[str, Explain]]:
    """Build the functions of methods.

    Args:
        methods: by name.
        network: to look into.
        layer: as typed, of methods that show a layer; None for the last map that the head is computed from.

    Returns:
        The methods, with the layer among their options, and their functions, by name.

    Raises:
        UserError: no such layer.
    """
    path = None
    if any(method.takes_layer for method in methods.values()):
        path = network.list_maps()[-1] if layer is None else network.find_layer(layer)
    described = {
        name: replace(method, options={**method.options, "layer": path or ""}) if method.takes_layer else method
        for name, method in methods.items()
    }
    return described, {name: method.build(network, path) for name, method in methods.items()}


def explain_batches(
    batches: Iterable[list[Picture]], explainers: Mapping[str, Explain], class_names: Sequence[str], wanted: int
) -> Iterator[tuple[Picture, Answer | None]]:
    """Explain every picture.

    Args:
        batches: from `read_pictures`.
        explainers: of the methods, by name.
        class_names: (classes,).
        wanted: index of the class to explain; `PREDICTED` for the one that the run predicts.

    Yields:
        Each picture with its answer, in order; None for an unreadable one.

    Raises:
        UserError: the model's probabilities are not finite.
    """
    for batch in batches:
        readable = [picture for picture in batch if picture.loaded.pixels is not None]
        answers = iter(_answers(readable, explainers, class_names, wanted) if readable else ())
        for picture in batch:
            yield picture, None if picture.loaded.pixels is None else next(answers)


def _answers(
    pictures: Sequence[Picture], explainers: Mapping[str, Explain], class_names: Sequence[str], wanted: int
) -> list[Answer]:
    pixels = np.stack([picture.pixels for picture in pictures])
    classes: Labels = np.full(len(pictures), wanted, np.int32)
    explained: dict[str, Explained] = {}
    for name, explain in explainers.items():
        explained[name] = explain(pixels, classes)
        classes = explained[name].classes
    first = next(iter(explained.values()))
    if not np.isfinite(first.probabilities).all():
        raise UserError(
            "the model's probabilities are not finite",
            "its training diverged: train it again with a lower --learning-rate",
        )
    return [
        Answer(
            class_names=class_names,
            probabilities=first.probabilities[place],
            explained=int(classes[place]),
            score=float(first.scores[place]),
            maps={name: one.maps[place] for name, one in explained.items()},
            details={
                name: {key: float(values[place]) for key, values in one.details.items()}
                for name, one in explained.items()
            },
            channels={name: one.channels[place] for name, one in explained.items() if one.channels is not None},
        )
        for place in range(len(pictures))
    ]
