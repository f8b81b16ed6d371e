"""Draws what an augmentation policy does to images: a row for each, the original and its views."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipelines.images.augment import build_augmenter
from pipelines.images.batches import view_batches
from pipelines.images.lettering import fitting, load_font
from pipelines.images.policy import Policy
from pipelines.images.unchanged import naming_changed
from pipelines.runs.examples import Example
from pipelines.runs.square import Square
from pipelines.system.files import atomic
from pipelines.system.progress import Reporter

# (height, width, 3) in [0, 255], the whole picture.
Grid: TypeAlias = NDArray[np.uint8]
# Augmented views of each image, beside the original.
NUM_VIEWS = 8
# White pixels between views.
GAP = 4
# Pixels above the views for the policy and the columns, and to their left for the names of classes.
HEADER, MARGIN = 44, 150


def draw_view_grid(
    path: Path,
    examples: Sequence[Example],
    names: Sequence[str],
    *,
    policy: Policy,
    square: Square,
    seed: int,
    reporter: Reporter,
) -> None:
    """Draw images and `NUM_VIEWS` views of each into a PNG or JPEG file.

    Args:
        path: of the picture, by whose ending its format goes.
        examples: one a row.
        names: of their classes.
        policy: makes the views.
        square: that a view is.
        seed: of the views, which are those of a training with this seed.
        reporter: shows progress.
    """
    grid = _draw_views(examples, policy, square, seed=seed, reporter=reporter)
    with atomic(path, suffix=path.suffix) as temporary:
        _label(Image.fromarray(grid), names, policy.name, step=square.size + GAP).save(temporary)


def _draw_views(examples: Sequence[Example], policy: Policy, square: Square, *, seed: int, reporter: Reporter) -> Grid:
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


def _label(picture: Image.Image, names: Sequence[str], policy: str, *, step: int) -> Image.Image:
    """Write the policy and the columns above the views, and the class of each row beside it."""
    pen, font = ImageDraw.Draw(picture), load_font()

    def write(text: str, place: tuple[float, float], width: int) -> None:
        pen.text(place, fitting(text, width), fill=(51, 51, 51), font=font, anchor="lm")

    write(f"policy {policy}", (GAP, HEADER / 2), MARGIN - 2 * GAP)
    for column in range(NUM_VIEWS + 1):
        heading = f"view {column}" if column else "original"
        write(heading, (MARGIN + column * step + GAP, HEADER / 2), step - GAP)
    for row, name in enumerate(names):
        write(name, (GAP, HEADER + row * step + step / 2), MARGIN - 2 * GAP)
    return picture
