"""Writes what explains a picture: a panel and an array for each method, and one JSON file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.explanations.drawing import Colours, draw_channels, draw_panel, draw_views
from pipelines.explanations.methods import Method
from pipelines.explanations.pictures import Picture
from pipelines.explanations.region import lay_on_picture, region_of
from pipelines.runs.report import Json
from pipelines.runs.square import Square
from pipelines.system.files import atomic, write_json
from pipelines.system.text import as_utf8

if TYPE_CHECKING:
    from models.arrays import Singles

LONGEST_STEM = 60
# Level 1 of zlib takes a third of the time of the default 6, for files a tenth larger (clothing, 320 pixels).
COMPRESSION = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answer:
    """What a run answers on a picture, and what is explained of it.

    Attributes:
        class_names: (classes,).
        probabilities: (classes,).
        explained: index of the class that is explained.
        score: of that class, before the softmax.
        maps: name of the method -> (size, size).
        details: name of the method -> further figures.
        channels: name of the method -> (h, w, channels) of a layer.
    """

    class_names: Sequence[str]
    probabilities: Singles
    explained: int
    score: float
    maps: Mapping[str, Singles]
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    channels: Mapping[str, Singles] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The class explained with its probability, and the predicted one where it is another."""
        predicted = int(self.probabilities.argmax())
        line = f"{self.class_names[self.explained]} {100 * self.probabilities[self.explained]:.1f} %"
        if predicted == self.explained:
            return line
        return f"{line} (predicted {self.class_names[predicted]} {100 * self.probabilities[predicted]:.1f} %)"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PictureFiles:
    """What was written of a picture.

    Attributes:
        panels: paths of the panels, in the order of the methods.
        record: what the JSON file holds.
        title: path and answer, for people.
        images: the picture, and an overlay for each method.
    """

    panels: tuple[Path, ...]
    record: Json
    title: str
    images: tuple[Colours, ...]


def write_picture(
    folder: Path, number: int, picture: Picture, answer: Answer, *, methods: Mapping[str, Method], square: Square
) -> PictureFiles:
    """Write `NUMBER-NAME.METHOD.png`, `NUMBER-NAME.METHOD.npy` and `NUMBER-NAME.json`.

    Args:
        folder: exists.
        number: of the picture, from 1; makes the names of files distinct.
        picture: readable.
        answer: of the run.
        methods: by name.
        square: that the network sees.
    """
    assert picture.shown is not None
    stem = f"{number:04d}-{plain_stem(picture.loaded.path)}"
    region = region_of(picture.height, picture.width, square)
    path = as_utf8(picture.loaded.path)
    title = f"{os.path.basename(path)}: {answer.line}"
    panels: list[Path] = []
    images: list[Colours] = []
    described: list[Json] = []
    for name, method in methods.items():
        values = np.asarray(answer.maps[name], np.float32)
        shape = picture.shown.shape[0], picture.shown.shape[1]
        laid, is_seen = lay_on_picture(values, region, (picture.height, picture.width), shape)
        views = draw_views(picture.shown, laid, is_seen)
        images += [views.overlay] if images else [views.picture, views.overlay]
        panel, array = folder / f"{stem}.{name}.png", folder / f"{stem}.{name}.npy"
        with atomic(panel, suffix=".png") as temporary:
            draw_panel(views, title, name).save(temporary, compress_level=COMPRESSION)
        with atomic(array, suffix=".npy") as temporary:
            np.save(temporary, values)
        if name in answer.channels:
            with atomic(folder / f"{stem}.{name}.channels.png", suffix=".png") as temporary:
                draw_channels(answer.channels[name]).save(temporary)
        panels.append(panel)
        described.append(_described(name, method, values, answer, panel, array))
    record = {
        "path": picture.loaded.path,
        "width": picture.width,
        "height": picture.height,
        "class": answer.class_names[answer.explained],
        "probability": _number(answer.probabilities[answer.explained]),
        "score": _number(answer.score),
        "predicted": answer.class_names[int(answer.probabilities.argmax())],
        "probabilities": {
            name: _number(value) for name, value in zip(answer.class_names, answer.probabilities, strict=True)
        },
        "square": asdict(square),
        "region": asdict(region),
        "maps": described,
    }
    write_json(folder / f"{stem}.json", record)
    return PictureFiles(panels=tuple(panels), record=record, title=title, images=tuple(images))


def plain_stem(path: str) -> str:
    """The name of a file without its ending, as letters, digits, `.`, `_` and `-` alone, at most 60 of them."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", as_utf8(stem)).strip("._")[:LONGEST_STEM] or "image"


def _described(name: str, method: Method, values: Singles, answer: Answer, panel: Path, array: Path) -> Json:
    return {
        "method": name,
        "about": method.about,
        "paper": method.paper,
        "options": dict(method.options),
        "picture": panel.name,
        "array": array.name,
        "minimum": _number(values.min()),
        "maximum": _number(values.max()),
        "sum": float(np.asarray(values, np.float64).sum()),
        **answer.details.get(name, {}),
    }


def _number(value: float | np.floating) -> float:
    """The shortest decimal that is the same single-precision number."""
    return float(str(np.float32(value)))
