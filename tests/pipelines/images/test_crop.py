"""Random crops: area and aspect ratio follow their distributions, the part is where it was drawn, and it repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import kstest

from models.arrays import Pixels
from models.errors import UserError
from pipelines.images.augment import build_augmenter
from pipelines.images.crop import RandomResizedCrop
from pipelines.images.policies import find_policy
from pipelines.images.policy import Policy, PolicyStep
from pipelines.images.stateless_layers import PerImageSeeds
from pipelines.images.warp import matrix_of, warp
from tests.pipelines.images.layer_arguments import IMAGE, SIZE
from tests.pipelines.images.moves import RAMP, places

DRAWS = 600


def _parts(count: int = DRAWS, **arguments: tuple[float, float]) -> np.ndarray:
    """Left, top, width and height of parts (count, 4), read off views of a ramp, as fractions of the side."""
    augment = build_augmenter(Policy(steps=(PolicyStep(layer="RandomResizedCrop", arguments=arguments),)), size=SIZE)
    views = tf.data.Dataset.range(1, count + 1).map(
        lambda view: augment(tf.constant(RAMP), tf.constant((5, -7), tf.int32), tf.cast(view, tf.int32))
    )
    parts = []
    for view in views:
        # Inside the rim, where nothing was mirrored; a pixel of the view is `scale` pixels of the image.
        first, last = 4, SIZE - 5
        sources = places(np.asarray(view))
        scale = (sources[last, last] - sources[first, first]) / (last - first)
        # From the middle of that pixel to the edge of the first one, in pixels whose edges are whole numbers.
        corner = sources[first, first] + 0.5 - scale * (first + 0.5)
        parts.append([*corner / SIZE, *scale])
    return np.asarray(parts)


def test_area_and_place_are_uniform_as_in_the_paper() -> None:
    left, top, width, height = _parts().T
    # Szegedy et al. 2015: evenly distributed between 8 % and 100 % of the area.
    assert kstest(width * height, "uniform", args=(0.08, 0.92)).pvalue > 1e-3
    assert kstest(left / (1 - width), "uniform").pvalue > 1e-3
    assert kstest(top / (1 - height), "uniform").pvalue > 1e-3
    ratio = width / height
    assert 0.749 < ratio.min() < 0.77 and 1.3 < ratio.max() < 1.334
    assert min(left.min(), top.min(), (1 - left - width).min(), (1 - top - height).min()) > -1e-3
    assert abs(np.corrcoef(left / (1 - width), top / (1 - height))[0, 1]) < 0.15


def test_the_aspect_ratio_is_uniform_on_a_logarithmic_scale() -> None:
    # Up to a quarter of the area, a part of any of these ratios fits.
    _, _, width, height = _parts(area=(0.1, 0.25), aspect_ratio=(0.25, 4.0)).T
    ends = np.log(0.25), np.log(4.0)
    assert kstest(np.log(width / height), "uniform", args=(ends[0], ends[1] - ends[0])).pvalue > 1e-3
    assert abs(np.corrcoef(width * height, np.log(width / height))[0, 1]) < 0.15


def test_large_parts_have_the_ratios_that_fit() -> None:
    _, _, width, height = _parts(200, area=(0.98, 1.0), aspect_ratio=(0.25, 4.0)).T
    assert width.max() <= 1.0001 and height.max() <= 1.0001
    assert (width * height).min() > 0.979


def test_a_part_is_resized_as_pillow_does() -> None:
    layer = RandomResizedCrop(area=(0.3, 0.6))
    picture = Image.fromarray(IMAGE.astype(np.uint8))
    for number in range(3):
        part = layer.get_random_transformation(tf.constant(IMAGE[None]), True, PerImageSeeds(tf.constant([number, 3])))
        view = warp(tf.constant(IMAGE.astype(np.uint8).astype(np.float32)), matrix_of(layer, part, SIZE)).numpy()
        left, top, width, height = (SIZE * float(part[name]) for name in ("left", "top", "width", "height"))
        expected = picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))
        # At its rim Pillow looks at the part alone, and rounds to whole levels.
        inside = slice(2, -2)
        difference = np.abs(view - np.asarray(expected, np.float32))[inside, inside]
        assert difference.max() < 1.6


def test_equal_ends_give_one_size_and_shape() -> None:
    _, _, width, height = _parts(20, area=(0.5, 0.5), aspect_ratio=(1.0, 1.0)).T
    np.testing.assert_allclose(width, np.sqrt(0.5), atol=1e-3)
    np.testing.assert_allclose(height, np.sqrt(0.5), atol=1e-3)


def test_a_view_repeats_by_seed_and_number(tmp_path: Path) -> None:
    path = tmp_path / "crop.toml"
    path.write_text('[[step]]\nlayer = "RandomResizedCrop"\narea = [0.2, 0.9]\naspect_ratio = [0.5, 2]\n')

    def view(seed: tuple[int, int], number: int) -> Pixels:
        augment = build_augmenter(find_policy(str(path)), size=SIZE)
        image: Pixels = augment(tf.constant(IMAGE), tf.constant(seed), tf.constant(number)).numpy()
        return image

    np.testing.assert_array_equal(view((5, 6), 2), view((5, 6), 2))
    for other in (view((5, 6), 3), view((5, 7), 2)):
        assert np.abs(view((5, 6), 2) - other).mean() > 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("area = 0.5", "two numbers"),
        ("area = [0.5]", "two numbers"),
        ("area = [0.9, 0.5]", "the smaller first"),
        ("area = [0.0, 0.5]", "above 0"),
        ("area = [0.5, 1.5]", "at most 1"),
        ('area = ["a", "b"]', "two numbers"),
        ("aspect_ratio = [2.0, 3.0]", "no part with these aspect ratios"),
        ("aspect_ratio = [0.2, 0.5]", "no part with these aspect ratios"),
        ("scale = [0.1, 1.0]", "does not take these arguments"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "crop.toml"
    path.write_text(f'[[step]]\nlayer = "RandomResizedCrop"\n{arguments}\n')
    with pytest.raises(UserError, match=reason):
        build_augmenter(find_policy(str(path)), size=SIZE)
