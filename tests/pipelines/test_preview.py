"""A preview shows the clean image, then views that differ; the same seed draws the same picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from models.errors import UserError
from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches
from pipelines.images.view_grid import GAP, HEADER, MARGIN, NUM_VIEWS
from pipelines.preview import NUM_ROWS, _choose, preview
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.square import Fit, Square
from tests.pipelines.pictures import drawn, pillow_fitted, saved

SIZE = 32


def _cells(path: Path, rows: int) -> np.ndarray:
    """(rows, views, side, side, 3) of a preview's picture."""
    grid = np.asarray(Image.open(path).convert("RGB")).astype(int)
    step = SIZE + GAP
    # The policy and the columns are named above the views, classes beside them.
    assert grid.shape == (HEADER + rows * step + GAP, MARGIN + (NUM_VIEWS + 1) * step + GAP, 3)
    names = grid[HEADER:, :MARGIN]
    for row in range(rows):
        assert names[row * step + GAP : (row + 1) * step].min() < 100, "a class has a name"
    assert grid[:HEADER, :MARGIN].min() < 100 and grid[:HEADER, MARGIN:].min() < 100
    grid = grid[HEADER:, MARGIN:]
    return np.stack(
        [
            [grid[row * step + GAP :, column * step + GAP :][:SIZE, :SIZE] for column in range(NUM_VIEWS + 1)]
            for row in range(rows)
        ]
    )


def _draw(data: Path, out: Path, policy: str = "light", seed: int = 0, **switches: bool) -> np.ndarray:
    square = Square(size=SIZE, fit="squash")
    done = preview(
        str(data), str(out), policy=find_policy(policy, Switches(**switches)), square=square, per_class=1, seed=seed
    )
    assert (done.path, done.rows, done.classes) == (out, 3, 3)
    return _cells(out, done.rows)


def test_the_original_comes_first_and_every_view_is_another(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = image_folder("data", per_class=2, size=SIZE)
    cells = _draw(data, tmp_path / "grid.png")
    for row, name in enumerate(("circle", "square", "triangle")):
        original = np.asarray(Image.open(data / name / f"{name}-000.png")).astype(int)
        assert np.abs(cells[row, 0] - original).mean() < 1
        for view in range(NUM_VIEWS + 1):
            for other in range(view):
                assert np.abs(cells[row, view] - cells[row, other]).mean() > 1
    again = _draw(data, tmp_path / "again.png")
    np.testing.assert_array_equal(cells, again)
    assert np.abs(cells[:, 1:] - _draw(data, tmp_path / "other.png", seed=1)[:, 1:]).mean() > 1


def test_without_augmentation_all_views_are_the_original(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    cells = _draw(image_folder("data", per_class=2, size=SIZE), tmp_path / "grid.png", policy="none")
    assert (cells == cells[:, :1]).all()


@pytest.mark.parametrize("fit", get_args(Fit))
def test_the_original_is_what_a_network_sees_with_this_fit(fit: Fit, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        drawn(90, 61).save(tmp_path / "data" / name / "0.png")
    square = Square(size=SIZE, fit=fit)
    done = preview(
        str(tmp_path / "data"), str(tmp_path / "grid.png"), policy=find_policy("none"), square=square, per_class=1
    )
    expected = pillow_fitted(saved(drawn(90, 61), "PNG"), SIZE, fit)
    for row in _cells(done.path, 2):
        assert np.abs(row[0] - expected).max() < 2  # whole grey levels on both sides


def test_rotate90_alone_shows_quarter_turns(image_folder: Callable[..., Path], tmp_path: Path) -> None:
    cells = _draw(image_folder("data", per_class=2, size=SIZE), tmp_path / "grid.png", policy="none", rotate90=True)
    quarters = set()
    for original, *views in cells:
        for view in views:
            matches = [number for number in range(4) if np.array_equal(view, np.rot90(original, number))]
            assert len(matches) == 1
            quarters.update(matches)
    assert quarters == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("out", "policy", "words"),
    [("grid.gif", "light", "grid.gif"), ("nowhere/grid.png", "light", "nowhere"), ("grid.png", "lihgt", "lihgt")],
)
def test_what_cannot_be_drawn_is_refused(
    out: str, policy: str, words: str, image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data = image_folder("data", per_class=2)
    with pytest.raises(UserError, match=words):
        preview(str(data), str(tmp_path / out), policy=find_policy(policy))
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize(
    ("num_classes", "per_class", "rows_of_each"),
    [(3, 5, [5, 5, 5]), (10, 5, [2] * 10), (2, 99, [6, 6]), (NUM_ROWS + 6, 2, [1] * NUM_ROWS)],
)
def test_rows_are_the_first_of_each_class_and_have_a_limit(
    num_classes: int, per_class: int, rows_of_each: list[int]
) -> None:
    # Six images of each class, the classes in turn.
    examples = [
        Example(path=f"{number:03d}", label=number % num_classes, split="train", sha256="", source="")
        for number in range(6 * num_classes)
    ]
    names = tuple(str(label) for label in range(num_classes))
    chosen = _choose(Dataset(root="", origin="folders", class_names=names, examples=tuple(examples)), per_class)
    expected = [
        f"{label + num_classes * number:03d}" for label, rows in enumerate(rows_of_each) for number in range(rows)
    ]
    assert [example.path for example in chosen] == expected
