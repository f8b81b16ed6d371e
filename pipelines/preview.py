"""Draws what an augmentation policy does to the user's images, as one picture.

headstart preview photos/ --augment strong --out grid.png
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from models.errors import UserError
from pipelines.data.scan import scan
from pipelines.images.policy import Policy
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.square import Square
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

# (height, width, 3) in [0, 255], the whole picture.
Grid: TypeAlias = "NDArray[np.uint8]"
# Augmented views of each image, beside the original.
NUM_VIEWS = 8
# Images at most; NUM_ROWS times --size is the height of the picture.
NUM_ROWS = 24
# White pixels between views.
GAP = 4
# Pixels above the views for the policy and the columns, and to their left for the names of classes.
HEADER, MARGIN = 44, 150
_FONT = 15
SQUARE = Square(size=160, fit="squash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The picture that was drawn.

    Attributes:
        path: of the picture.
        rows: how many images it shows, one a row: the original, then its views.
        classes: how many classes the images come from.
    """

    path: Path
    rows: int
    classes: int


def preview(
    data: str,
    out: str,
    *,
    policy: Policy,
    square: Square = SQUARE,
    per_class: int = 2,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Preview:
    """Draw several images of each class: the original and eight views of each.

    Args:
        data: labelled images, as for training.
        out: the picture to write, PNG or JPEG by its ending.
        policy: makes the views.
        square: that a view is.
        per_class: images of each class; fewer where the rows of all classes would be more than `NUM_ROWS`.
        seed: of the views, which are those of a training with this seed.
        reporter: shows progress.

    Returns:
        The path of the picture, and how many images and classes it shows.

    Raises:
        UserError: the data or the place of the picture is not usable.
    """
    reporter = reporter or Silent()
    target = Path(out)
    if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"`{out}` is not an image file name", "end --out in .png or .jpg")
    if not target.absolute().parent.is_dir():
        raise UserError(f"no folder `{target.parent}` for the picture", "make it, or choose another --out")
    listing = scan(data, reporter=reporter)

    from pipelines.data.check import check
    from pipelines.images.colour_covariance import measured

    dataset = check(listing, for_training=False, reporter=reporter)
    examples = _choose(dataset, per_class)
    # A training measures the colours of its training images; where no parts are given, they are not divided yet.
    policy = measured(policy, dataset.part("train") or dataset.examples)
    grid = _draw(examples, policy, square, seed=seed, reporter=reporter)
    names = [dataset.class_names[example.label] for example in examples]

    from PIL import Image as images

    from pipelines.system.files import atomic

    with atomic(target, suffix=target.suffix) as temporary:
        _label(images.fromarray(grid), names, policy.name, step=square.size + GAP).save(temporary)
    return Preview(path=target, rows=len(examples), classes=len({example.label for example in examples}))


def _draw(examples: Sequence[Example], policy: Policy, square: Square, *, seed: int, reporter: Reporter) -> Grid:
    """Draw a row for each image: the original, then its views."""
    import numpy as np

    from pipelines.images.augment import build_augmenter
    from pipelines.images.batches import view_batches
    from pipelines.images.unchanged import naming_changed

    size = square.size
    batches = view_batches(
        [(example, view) for example in examples for view in range(NUM_VIEWS + 1)],
        square=square,
        batch=NUM_VIEWS + 1,
        augmenter=build_augmenter(policy, size=size),
        seed=seed,
    )
    step = size + GAP
    grid = np.full((HEADER + len(examples) * step + GAP, MARGIN + (NUM_VIEWS + 1) * step + GAP, 3), 255, np.uint8)
    with naming_changed(examples), reporter.task("preview", len(examples)) as task:
        for row, views in enumerate(batches):
            for column, view in enumerate(np.clip(np.round(views.numpy()), 0, 255).astype(np.uint8)):
                top, left = HEADER + row * step + GAP, MARGIN + column * step + GAP
                grid[top : top + size, left : left + size] = view
            task.advance()
    return grid


def _label(picture: Image, names: Sequence[str], policy: str, *, step: int) -> Image:
    """Write the policy and the columns above the views, and the class of each row beside it."""
    import matplotlib
    from PIL import ImageDraw, ImageFont

    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", _FONT)
    pen = ImageDraw.Draw(picture)

    def write(text: str, place: tuple[float, float], width: int) -> None:
        line = one_line(text)
        while line and pen.textlength(line, font) > width:
            line = line[:-3] + ".." if len(line) > 3 else ""
        pen.text(place, line, fill=(51, 51, 51), font=font, anchor="lm")

    write(f"policy {policy}", (GAP, HEADER / 2), MARGIN - 2 * GAP)
    for column in range(NUM_VIEWS + 1):
        heading = f"view {column}" if column else "original"
        write(heading, (MARGIN + column * step + GAP, HEADER / 2), step - GAP)
    for row, name in enumerate(names):
        write(name, (GAP, HEADER + row * step + step / 2), MARGIN - 2 * GAP)
    return picture


def _choose(dataset: Dataset, per_class: int) -> Sequence[Example]:
    """The first images of each class, in the order of the classes; fewer of each where there are many classes."""
    per_class = max(1, min(per_class, NUM_ROWS // len(dataset.class_names)))
    by_class: dict[int, list[Example]] = {}
    for example in dataset.examples:
        by_class.setdefault(example.label, []).append(example)
    chosen = [example for label in sorted(by_class) for example in by_class[label][:per_class]]
    return chosen[:NUM_ROWS]
