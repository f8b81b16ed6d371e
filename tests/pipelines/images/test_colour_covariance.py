"""The covariance of the colours of the training pixels, against NumPy's of the same pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.images import colour_covariance as module
from pipelines.images.augment import build_augmenter
from pipelines.images.colour_covariance import measure_covariance, measured
from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import Policy, PolicyStep
from pipelines.runs.examples import Example
from pipelines.runs.square import Square
from tests.pipelines.features.drawn import draw_examples

SIDE = 12  # of the drawn examples


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Example]:
    monkeypatch.setattr(module, "SQUARE", Square(size=SIDE, fit="squash"))
    return draw_examples(tmp_path / "data", 9)


def pixels_of(examples: list[Example]) -> np.ndarray:
    return np.concatenate([np.asarray(Image.open(example.path), float).reshape(-1, 3) for example in examples]) / 255


def test_it_is_that_of_all_pixels(examples: list[Example]) -> None:
    expected = np.cov(pixels_of(examples).T, bias=True)
    np.testing.assert_allclose(measure_covariance(examples), expected, atol=2e-5)


def test_of_many_images_some_are_measured_from_the_first_to_the_last(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 3)
    expected = np.cov(pixels_of([examples[0], examples[4], examples[8]]).T, bias=True)
    np.testing.assert_allclose(measure_covariance(examples), expected, atol=2e-5)


def test_a_policy_gets_the_covariance_of_its_training_images_and_another_key(examples: list[Example]) -> None:
    filled = measured(POLICIES["alexnet"], examples)
    assert filled.steps[-1].arguments == {"covariance": measure_covariance(examples), "stddev": 0.1}
    assert filled.steps[:-1] == POLICIES["alexnet"].steps[:-1]
    assert filled.digest != measured(POLICIES["alexnet"], examples[:4]).digest
    assert measured(filled, examples[:4]) == filled
    build_augmenter(filled, size=SIDE)


def test_what_a_policy_states_stays_and_without_the_step_no_image_is_read() -> None:
    stated = Policy(steps=(PolicyStep(layer="FancyPCA", arguments={"covariance": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}),))
    missing = [Example(path="gone", label=0, split="train", sha256="", source="gone")]
    assert measured(stated, missing) == stated
    assert measured(find_policy("strong"), missing) == find_policy("strong")
