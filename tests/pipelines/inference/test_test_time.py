"""Averaging over views at prediction."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.inference.test_time import averaged, build_views, require
from pipelines.predict import predict
from pipelines.runs.folder import finish_run
from pipelines.runs.models import load_run, save_model
from tests.pipelines.test_ensemble import COLOURS, make_run, pictures

__all__ = ["pictures"]  # the fixture


def batch(size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)


def test_flip_is_the_image_and_its_mirror() -> None:
    pixels = batch()
    one, other = build_views("flip", size=16)(tf.constant(pixels))
    np.testing.assert_array_equal(one, pixels)
    np.testing.assert_array_equal(other, pixels[:, :, ::-1])


def test_crop5_is_the_centre_and_the_corners() -> None:
    # Brightness rises to the right and, ten times as fast, downwards: a crop's mean says where it was taken.
    ramp = np.arange(16)[None, :] + 10 * np.arange(16)[:, None]
    pixels = np.repeat(ramp[None, :, :, None], 3, axis=3).astype(np.float32)
    means = [float(np.mean(view)) for view in build_views("crop5", size=16)(tf.constant(pixels))]
    assert means == pytest.approx([82.5, 71.5, 73.5, 91.5, 93.5], abs=0.2)


def test_a_number_is_the_image_and_light_views_of_it_the_same_in_any_batch() -> None:
    pixels, make = batch(), build_views("4", size=16)
    views = [np.asarray(each) for each in make(tf.constant(pixels))]
    assert len(views) == 4
    np.testing.assert_array_equal(views[0], pixels)
    assert not np.allclose(views[1], pixels)
    assert not np.allclose(views[1], views[2])
    alone = [np.asarray(each) for each in make(tf.constant(pixels[1:2]))]
    for one, other in zip(views, alone, strict=True):
        np.testing.assert_array_equal(one[1:2], other)


def test_answers_are_means_over_the_views() -> None:
    pixels = batch()
    found = averaged(lambda each: (each[:, 0, 0], each[:, 0]), build_views("flip", size=16))(tf.constant(pixels))
    np.testing.assert_allclose(found[0], (pixels[:, 0, 0] + pixels[:, 0, -1]) / 2, rtol=1e-6)
    np.testing.assert_allclose(found[1], (pixels[:, 0] + pixels[:, 0, ::-1]) / 2, rtol=1e-6)


@pytest.mark.parametrize("tta", ["", "flop", "1", "0", "65", "-2", "2.5", "\u0663"])
def test_unknown_views_are_refused(tta: str) -> None:
    with pytest.raises(UserError, match="unknown views"):
        require(tta)


def left_looker(folder: Path) -> None:
    """Make the run's model see no more than the left half of each image."""
    model, manifest = load_run(folder)
    pixels = keras.Input(model.input_shape[1:])
    half = keras.layers.Cropping2D(((0, 0), (0, model.input_shape[2] // 2)))(pixels)
    pooled = keras.layers.GlobalAveragePooling2D()(half)
    save_model(keras.Model(pixels, model.layers[-1](pooled)), folder)
    finish_run(folder, manifest)


def test_evaluate_and_predict_average_and_say_what_it_brings(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", pictures, tuple(COLOURS))
    left_looker(run)
    plain = evaluate(str(run), str(pictures))
    found = evaluate(str(run), str(pictures), tta="flip")
    assert found.tta is not None
    assert found.tta["views"] == 2
    assert found.tta["log_loss"] == pytest.approx((found.report.log_loss, plain.report.log_loss), abs=1e-5)
    assert found.tta["time"] > 1
    # The mean of both halves' answers is not the answer to either.
    assert found.report.log_loss != pytest.approx(plain.report.log_loss, abs=1e-6)
    files = [str(pictures / "red" / "00.png")]
    one, other = (next(predict(str(run), files, tta=tta)[1]).probability for tta in (None, "flip"))
    assert one != other
