"""Images that change between the check and a later reading: named, and never taken for what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipelines.data.check
import pipelines.training.opening
from models.errors import UserError
from pipelines.evaluate import evaluate
from pipelines.images.policies import POLICIES
from pipelines.preview import preview
from pipelines.runs.examples import Dataset
from pipelines.train import train
from tests.pipelines.new_heads import are_equal, spec_on, weights_of

Draw = Callable[..., Path]


@pytest.fixture
def swapping(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, bytes], None]:
    """`swapping(path, content)`: from now on, the file gets this content as soon as all images are checked."""
    honest = pipelines.data.check.check

    def arrange(path: Path, content: bytes) -> None:
        def check(*arguments: Any, **options: Any) -> Dataset:
            dataset = honest(*arguments, **options)
            path.write_bytes(content)
            return dataset

        monkeypatch.setattr(pipelines.data.check, "check", check)
        monkeypatch.setattr(pipelines.training.opening, "check", check)

    return arrange


@pytest.mark.parametrize(
    "options",
    [{}, {"cache": False}, {"augment": "light"}, {"fine_tune": "1"}, {"network": "from scratch"}],
    ids=["features", "pixels", "views", "fine-tuning", "from scratch"],
)
def test_no_training_takes_another_image_for_the_one_it_checked(
    options: dict[str, Any],
    drawn: Path,
    image_folder: Draw,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    swapping: Callable[[Path, bytes], None],
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    data = image_folder("swapped", per_class=8, seed=21)
    if options.pop("network", None):
        options |= {"backbone": "small_cnn", "weights": "none"}
    spec = spec_on(drawn, data, tmp_path / "run", epochs=2, **options)
    victim = sorted(data.glob("square/*"))[3]
    before, other = victim.read_bytes(), sorted(data.glob("circle/*"))[0].read_bytes()
    swapping(victim, other)
    with pytest.raises(UserError, match=f"{victim.name}` changed while it was in use"):
        train(spec)

    # Put back, the same command ends with the weights of a training that nothing disturbed, in a cache of its own.
    victim.write_bytes(before)
    monkeypatch.undo()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    train(spec)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "other cache"))
    options_of_another = spec_on(drawn, data, tmp_path / "undisturbed", epochs=2, **options)
    train(options_of_another)
    assert are_equal(weights_of(tmp_path / "run"), weights_of(tmp_path / "undisturbed"))


@pytest.mark.parametrize("options", [{}, {"cache": False}, {"tta": "flip"}], ids=["features", "pixels", "views"])
def test_no_evaluation_takes_another_image_for_the_one_it_checked(
    options: dict[str, Any], drawn: Path, image_folder: Draw, swapping: Callable[[Path, bytes], None]
) -> None:
    data = image_folder("judged", per_class=4, seed=22)
    victim = sorted(data.glob("square/*"))[1]
    swapping(victim, sorted(data.glob("circle/*"))[0].read_bytes())
    with pytest.raises(UserError, match=f"{victim.name}` changed while it was in use"):
        evaluate(str(drawn / "one"), str(data), split="all", **options)


def test_a_preview_names_an_image_that_is_gone(
    image_folder: Draw, tmp_path: Path, swapping: Callable[[Path, bytes], None]
) -> None:
    data = image_folder("shown", per_class=4, seed=23)
    victim = sorted(data.glob("square/*"))[0]
    swapping(victim, np.random.default_rng(0).bytes(100))
    with pytest.raises(UserError, match=f"{victim.name}` changed while it was in use"):
        preview(str(data), str(tmp_path / "views.png"), policy=POLICIES["light"])
