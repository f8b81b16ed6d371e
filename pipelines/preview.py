"""The story of a preview: draws what an augmentation policy does to the user's pictures.

headstart preview photos/ --augment strong --out grid.png
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.data.scan import scan
from pipelines.images.policy import Policy
from pipelines.runs.examples import Dataset, Example
from pipelines.system.progress import Reporter, Silent

NUM_VIEWS = 8
NUM_ROWS = 24
GAP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What was drawn.

    Attributes:
        path: the picture.
        rows: images shown, one a row: the original, then its views.
        classes: how many classes they come from.
    """

    path: Path
    rows: int
    classes: int


def preview(
    data: str,
    out: str,
    *,
    policy: Policy,
    size: int = 160,
    per_class: int = 2,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> Preview:
    """Draw the original and eight views of several images a class.

    Args:
        data: as for training.
        out: the picture to write, PNG or JPEG by its ending.
        policy: what makes the views.
        size: side of one view, pixels.
        per_class: images of each class.
        seed: of the views: the same as in a training with this seed.
        reporter: shows progress.

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

    dataset = check(listing, for_training=False, reporter=reporter)
    chosen = _choose(dataset, per_class)

    import numpy as np
    from PIL import Image

    from pipelines.images.augment import build_augmenter
    from pipelines.images.batches import view_batches

    batches = view_batches(
        [(example, view) for example in chosen for view in range(NUM_VIEWS + 1)],
        size=size,
        batch=NUM_VIEWS + 1,
        augmenter=build_augmenter(policy, size=size),
        seed=seed,
    )
    step = size + GAP
    grid = np.full((len(chosen) * step + GAP, (NUM_VIEWS + 1) * step + GAP, 3), 255, np.uint8)
    with reporter.task("preview", len(chosen)) as task:
        for row, views in enumerate(batches):
            for column, view in enumerate(np.clip(np.round(views.numpy()), 0, 255).astype(np.uint8)):
                top, left = row * step + GAP, column * step + GAP
                grid[top : top + size, left : left + size] = view
            task.advance()

    from pipelines.system.files import atomic

    with atomic(target, suffix=target.suffix) as temporary:
        Image.fromarray(grid).save(temporary)
    return Preview(path=target, rows=len(chosen), classes=len({example.label for example in chosen}))


def _choose(dataset: Dataset, per_class: int) -> Sequence[Example]:
    """The first images of each class, fewer of each where there are many classes."""
    per_class = max(1, min(per_class, NUM_ROWS // len(dataset.class_names)))
    taken: dict[int, int] = {}
    chosen = []
    for example in dataset.examples:
        if taken.get(example.label, 0) < per_class:
            taken[example.label] = taken.get(example.label, 0) + 1
            chosen.append(example)
    return sorted(chosen, key=lambda example: example.label)[:NUM_ROWS]
