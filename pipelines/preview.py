"""Draws what an augmentation policy does to the user's images, as one picture.

headstart preview photos/ --augment strong --out grid.png
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.data.scan import scan
from pipelines.images.policy import Policy
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.square import Square
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    pass

# Images at most; NUM_ROWS times --size is the height of the picture.
NUM_ROWS = 24
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
    names = [dataset.class_names[example.label] for example in examples]
    from pipelines.images.view_grid import draw_view_grid

    draw_view_grid(target, examples, names, policy=policy, square=square, seed=seed, reporter=reporter)
    return Preview(path=target, rows=len(examples), classes=len({example.label for example in examples}))


def _choose(dataset: Dataset, per_class: int) -> Sequence[Example]:
    """The first images of each class, in the order of the classes; fewer of each where there are many classes."""
    per_class = max(1, min(per_class, NUM_ROWS // len(dataset.class_names)))
    by_class: dict[int, list[Example]] = {}
    for example in dataset.examples:
        by_class.setdefault(example.label, []).append(example)
    chosen = [example for label in sorted(by_class) for example in by_class[label][:per_class]]
    return chosen[:NUM_ROWS]
