"""Features of an image and of its mirror image lie in the cache each, and are averaged when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from models.arrays import FeatureRows
from models.engines.table import ENGINES
from pipelines.features.cached import CLEAN, Views
from pipelines.features.extract import Extracted, extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.images import batches
from pipelines.runs.examples import Example
from tests.pipelines.features.drawn import KEY, SIDE, Notes, draw_examples

HALF = 2**-11  # float16 rounds means below 1 by less than this
TWO_VIEWS = Views(count=2, policy="darker", policy_digest="d" * 16, seed=5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left_base() -> keras.Model:
    """Pixels -> the mean of each colour in the left third: other features for a mirror image."""
    pixels = keras.Input((SIDE, SIDE, 3))
    left = keras.layers.Cropping2D(((0, 0), (0, SIDE - SIDE // 3)))(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(left))


def left_colours(examples: list[Example], *, is_mirrored: bool) -> FeatureRows:
    """The same by Pillow and numpy."""
    images = [Image.open(example.path) for example in examples]
    sides = [ImageOps.mirror(image) if is_mirrored else image for image in images]
    pixels = np.stack([np.asarray(image, np.float64) for image in sides])
    return (pixels[:, :, : SIDE // 3].mean((1, 2)) / 255).astype(np.float32)


def averaged(examples: list[Example]) -> FeatureRows:
    of_both = [left_colours(examples, is_mirrored=is_mirrored) for is_mirrored in (False, True)]
    mean: FeatureRows = np.mean(of_both, axis=0, dtype=np.float32)
    return mean


def run(
    examples: list[Example], *, mirror: bool, views: Views = CLEAN, engine: str = "keras"
) -> tuple[Extracted, list[str]]:
    notes = Notes()
    extracted = extract(
        {"train": examples},
        FrozenBase(key=KEY, build=left_base, engine=engine, mirror=mirror),
        views={"train": views},
        augmenter=(lambda image, seed, view: image * 0.5) if views.count > 1 else None,
        reporter=notes,
    )
    return extracted, notes.lines


def rows_of(extracted: Extracted) -> FeatureRows:
    features = extracted.parts["train"]
    return features.rows(np.arange(len(features)))


@pytest.mark.parametrize("engine", ["keras", "tensorflow", "openvino"])
def test_rows_are_the_mean_of_both_images(engine: str, tmp_path: Path) -> None:
    if not ENGINES[engine].precisions():
        pytest.skip(f"{engine} is not installed")
    examples = draw_examples(tmp_path, 7)
    extracted, _ = run(examples, mirror=True, engine=engine)
    tolerance = 2 * HALF if extracted.engine.precision == "float32" else 0.02
    np.testing.assert_allclose(rows_of(extracted), averaged(examples), atol=tolerance)
    assert (extracted.record.cached, extracted.record.new, extracted.record.mirror) == (0, 14, True)
    assert extracted.line.startswith("features: 7 images x 1 view and its mirror image, 0 cached, 14 new")


def test_each_pass_is_computed_once_whichever_is_asked_for_first(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 6)
    steps = [(examples[:4], False, 0, 4), (examples, True, 4, 8), (examples, False, 6, 0), (examples, True, 12, 0)]
    for asked, mirror, cached, new in steps:
        extracted, _ = run(asked, mirror=mirror)
        assert (extracted.record.cached, extracted.record.new) == (cached, new)
        expected = averaged(asked) if mirror else left_colours(asked, is_mirrored=False)
        np.testing.assert_allclose(rows_of(extracted), expected, atol=2 * HALF)


def test_an_image_that_is_missing_with_its_mirror_image_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    whole = batches.view_batches

    def counting(views: Any, **options: Any) -> Iterator[Any]:
        decoded.extend(example.path for example, _ in views)
        return iter(whole(views, **options))

    examples = draw_examples(tmp_path, 5)
    run(examples[:2], mirror=False)  # builds the base, which decodes a sample, and computes one side of two images
    monkeypatch.setattr(batches, "view_batches", counting)
    extracted, _ = run(examples, mirror=True)
    sample = [example.path for example in examples]
    assert sorted(decoded) == sorted([*sample, *sample])  # once for the engine, once for the features
    np.testing.assert_allclose(rows_of(extracted), averaged(examples), atol=2 * HALF)


def test_augmented_views_are_averaged_with_their_mirror_images(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 3)
    extracted, _ = run(examples, mirror=True, views=TWO_VIEWS)
    features, places = extracted.parts["train"], np.arange(3)
    assert (extracted.record.new, features.num_views) == (12, 2)
    assert "2 views and their mirror images" in extracted.line
    np.testing.assert_allclose(features.rows(places), averaged(examples), atol=2 * HALF)
    np.testing.assert_allclose(features.rows(places, np.ones(3, int)), averaged(examples) / 2, atol=2 * HALF)


def test_the_last_layer_is_a_slice_of_cached_levels_for_both_images(tmp_path: Path) -> None:
    from dataclasses import replace

    examples = draw_examples(tmp_path, 3)
    levels = FrozenBase(
        key=replace(KEY, features="levels"), build=left_base, engine="keras", count_last=lambda: 2, mirror=True
    )
    parts, views = {"train": examples}, {"train": CLEAN}
    extract(parts, levels, views=views, augmenter=None, reporter=Notes())
    last = extract(parts, replace(levels, key=KEY), views=views, augmenter=None, reporter=Notes())
    assert (last.record.cached, last.record.new) == (6, 0)
    np.testing.assert_allclose(rows_of(last), averaged(examples)[:, :2], atol=2 * HALF)
