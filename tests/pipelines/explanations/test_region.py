"""A map lies on the picture where the network saw what it marks: checked by a mark in the picture itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from pipelines.explanations.pictures import SHOWN, read_pictures
from pipelines.explanations.region import lay_on_picture, region_of
from pipelines.inference.inputs import Input
from pipelines.runs.square import Fit, Square
from tests.pipelines.pictures import exif, saved


@pytest.mark.parametrize("fit", get_args(Fit))
@pytest.mark.parametrize("turn", [1, 3, 6, 7])
@pytest.mark.parametrize("sides", [(150, 90), (90, 151), (700, 401)])
def test_a_mark_in_what_the_network_sees_is_laid_on_the_mark_in_the_picture(
    fit: Fit, turn: int, sides: tuple[int, int], tmp_path: Path
) -> None:
    pixels = np.zeros((*sides, 3), np.uint8)
    top, left = int(0.45 * sides[0]), int(0.5 * sides[1])
    pixels[top : top + sides[0] // 6, left : left + sides[1] // 6] = 255
    file = tmp_path / "mark.png"
    file.write_bytes(saved(Image.fromarray(pixels), "PNG", exif=b"Exif\0\0" + exif(turn)))
    square = Square(size=64, fit=fit)
    ((picture,),) = read_pictures([Input(str(file))], square)
    assert picture.shown is not None
    upright = sides[::-1] if turn > 4 else sides
    assert (picture.height, picture.width) == upright
    assert max(picture.shown.shape[:2]) == SHOWN
    # The map is what the network sees, without the grey of padding.
    seen = np.where(picture.pixels == 127.5, 0, picture.pixels).mean(-1)
    laid, is_seen = lay_on_picture(seen, region_of(*upright, square), upright, picture.shown.shape[:2])
    shown = picture.shown.mean(-1) > 127
    marked = laid > 127
    assert (shown & marked).sum() / (shown | marked).sum() > 0.8
    assert is_seen.all() == (fit != "crop")
    if fit == "crop":
        assert is_seen.mean() == pytest.approx(min(upright) / max(upright), abs=0.01)


def test_what_lies_in_the_padding_is_not_on_the_picture() -> None:
    region = region_of(100, 200, Square(size=50, fit="pad"))
    assert (region.left, region.width, region.height) == (0, 200, 200)
    assert region.top == -48  # 12 whole pixels of the square, 4 pixels of the picture each
    laid, _ = lay_on_picture(np.eye(50, dtype=np.float32), region, (100, 200), (100, 200))
    assert laid.shape == (100, 200)


def test_the_shown_picture_is_pillows_upright_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (12, 20, 3), np.uint8)).resize((400, 240))
    content = saved(small, "PNG")
    (tmp_path / "a.png").write_bytes(content)
    ((picture,),) = read_pictures([Input(str(tmp_path / "a.png"))], Square(size=32, fit="squash"))
    expected = Image.open(io.BytesIO(content)).resize((SHOWN, 192), Image.Resampling.BILINEAR)
    assert picture.shown is not None
    assert np.abs(picture.shown - np.asarray(expected, np.float32)).max() < 1.5
