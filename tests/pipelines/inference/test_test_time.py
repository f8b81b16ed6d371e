"""Averaging over views: which views there are, the mean of them, and what it gains and costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.inference import test_time
from pipelines.inference.test_time import average_over, build_views, needless_views_line, require_views
from pipelines.predict import predict
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import BaseRecord, HeadRecord, Manifest
from pipelines.runs.models import load_run, save_model
from tests.pipelines.manifests import manifest_with
from tests.pipelines.reporters import Notes
from tests.pipelines.test_ensemble import COLOURS, make_run, pictures

__all__ = ["pictures"]  # the fixture


def batch(size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)


def test_flip_is_the_image_and_its_mirror() -> None:
    pixels = batch()
    image, mirrored = build_views("flip", size=16)(tf.constant(pixels))
    np.testing.assert_array_equal(image, pixels)
    np.testing.assert_array_equal(mirrored, pixels[:, :, ::-1])


def test_crop5_is_the_centre_and_the_corners() -> None:
    # Brightness rises to the right and, ten times as fast, downwards: a crop's mean says where it was taken.
    ramp = np.arange(16)[None, :] + 10 * np.arange(16)[:, None]
    pixels = np.repeat(ramp[None, :, :, None], 3, axis=3).astype(np.float32)
    means = [float(np.mean(view)) for view in build_views("crop5", size=16)(tf.constant(pixels))]
    assert means == pytest.approx([82.5, 71.5, 73.5, 91.5, 93.5], abs=0.2)


def test_crop10_is_the_five_crops_and_their_mirror_images() -> None:
    pixels = tf.constant(batch())
    views = [np.asarray(view) for view in build_views("crop10", size=16)(pixels)]
    assert len(views) == 10
    # A mirrored picture's left corner is the mirror image of the picture's right corner: centre, then the four corners.
    for place, mirrored in ((0, 5), (1, 7), (2, 6), (3, 9), (4, 8)):
        np.testing.assert_allclose(views[mirrored], views[place][:, :, ::-1], atol=1e-3)
    for view, of_five in zip(views, build_views("crop5", size=16)(pixels), strict=False):
        np.testing.assert_array_equal(view, of_five)


def test_a_number_is_the_image_and_light_views_of_it_the_same_in_any_batch() -> None:
    pixels, make_views = batch(), build_views("4", size=16)
    views = [np.asarray(view) for view in make_views(tf.constant(pixels))]
    assert len(views) == 4
    np.testing.assert_array_equal(views[0], pixels)
    assert not np.allclose(views[1], pixels)
    assert not np.allclose(views[1], views[2])
    alone = [np.asarray(view) for view in make_views(tf.constant(pixels[1:2]))]
    for view, view_alone in zip(views, alone, strict=True):
        np.testing.assert_array_equal(view[1:2], view_alone)


def test_outputs_are_means_over_the_views() -> None:
    pixels = batch()
    averaged = average_over(lambda view: (view[:, 0, 0], view[:, 0]), build_views("flip", size=16))
    corner, row = averaged(tf.constant(pixels))
    np.testing.assert_allclose(corner, (pixels[:, 0, 0] + pixels[:, 0, -1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(row, (pixels[:, 0] + pixels[:, 0, ::-1]) / 2, rtol=1e-6)


@pytest.mark.parametrize("tta", ["", "flop", "1", "0", "65", "-2", "2.5", "\u0663"])
def test_unknown_views_are_refused(tta: str) -> None:
    with pytest.raises(UserError, match="unknown views"):
        require_views(tta)


def manifest_of(*, mirror: bool, bases: tuple[bool, ...] = ()) -> Manifest:
    """A run whose features are averaged over mirror images or not, or an ensemble of such."""
    records = tuple(
        BaseRecord(
            backbone_layer="b",
            pooling_layer="p",
            backbone="n",
            weights_sha256="",
            image_size=8,
            pooling="avg",
            mirror=is_mirrored,
        )
        for is_mirrored in bases
    )
    return manifest_with(head=HeadRecord(name="linear", pooling="avg", mirror=mirror), bases=records)


def test_views_that_a_run_averages_over_by_itself_are_named() -> None:
    assert "changes nothing" in needless_views_line("flip", manifest_of(mirror=True))
    assert "changes nothing" in needless_views_line("flip", manifest_of(mirror=False, bases=(True, True)))
    assert "what crop5 gives" in needless_views_line("crop10", manifest_of(mirror=True))
    assert needless_views_line("crop5", manifest_of(mirror=True)) == ""
    assert needless_views_line("8", manifest_of(mirror=True)) == ""
    assert needless_views_line("flip", manifest_of(mirror=False)) == ""
    # One member that looks at the image alone is changed by its mirror image.
    assert needless_views_line("flip", manifest_of(mirror=False, bases=(True, False))) == ""


def test_evaluate_and_predict_warn_of_views_that_change_nothing(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    _, manifest = load_run(run)
    finish_run(run, replace(manifest, head=replace(manifest.head, mirror=True)))
    notes = Notes()
    evaluate(str(run), str(pictures), tta="flip", reporter=notes)
    predict(str(run), [str(pictures / "red" / "00.png")], tta="flip", reporter=notes)
    assert sum("--tta flip: changes nothing" in line for line in notes.lines) == 2


def left_looker(folder: Path) -> None:
    """Let the run's model see the left half of each image only."""
    model, manifest = load_run(folder)
    pixels = keras.Input(model.input_shape[1:])
    half = keras.layers.Cropping2D(((0, 0), (0, model.input_shape[2] // 2)))(pixels)
    pooled = keras.layers.GlobalAveragePooling2D()(half)
    save_model(keras.Model(pixels, model.layers[-1](pooled)), folder)
    finish_run(folder, manifest)


def test_evaluate_and_predict_average_and_evaluate_shows_gain_and_cost(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One batch: 3 seconds with views, then 1 without.
    clock = iter([0.0, 3.0, 3.0, 4.0])
    monkeypatch.setattr(test_time, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    left_looker(run)
    plain = evaluate(str(run), str(pictures))
    averaged = evaluate(str(run), str(pictures), tta="flip")
    assert averaged.tta is not None
    assert averaged.tta.views == 2
    losses = averaged.report.log_loss, plain.report.log_loss
    assert averaged.tta.comparison.log_loss.means == pytest.approx(losses, abs=1e-5)
    assert averaged.tta.time_ratio == 3.0
    printed = averaged.to_json()["tta"]
    assert (printed["tta"], printed["views"], printed["time"]) == ("flip", 2, averaged.tta.time_ratio)
    assert printed["log_loss"] == pytest.approx(losses, abs=1e-5)
    assert printed["accuracy"] == pytest.approx((averaged.report.accuracy, plain.report.accuracy))
    assert printed["difference"]["value"] == pytest.approx(averaged.report.accuracy - plain.report.accuracy)
    low, high = printed["difference"]["interval"]
    assert low <= printed["difference"]["value"] <= high
    # The mean of the two halves' probabilities is not that of either.
    assert averaged.report.log_loss != pytest.approx(plain.report.log_loss, abs=1e-6)
    files = [str(pictures / "red" / "00.png")]
    single, mean = (next(predict(str(run), files, tta=tta)[1]).probability for tta in (None, "flip"))
    assert single != mean
