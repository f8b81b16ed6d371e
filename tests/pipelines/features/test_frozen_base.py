"""A frozen base runs on the engine that is asked for; a run's engine that is missing here is replaced, with a note."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.arrays import Pixels
from models.engines import compiled
from models.engines.compiled import CompiledBase
from models.engines.source import Run, TracedBase
from models.engines.table import ENGINES
from models.errors import UserError
from pipelines.features.frozen_base import SAMPLE_IMAGES, FrozenBase, engine_available
from pipelines.features.remembered_engines import CHOICES_FILE
from tests.pipelines.features.drawn import KEY, SIDE, Notes, draw_examples, mean_colours, tiny_base


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def test_a_choice_is_remembered_for_the_engine_that_was_asked_for(tmp_path: Path) -> None:
    base = FrozenBase(key=KEY, build=tiny_base, engine="tensorflow")
    notes = Notes()
    assert base.recall_engine(3, notes) is None
    choice = base.compile(draw_examples(tmp_path, 3), 3, notes).choice
    assert choice.engine == "tensorflow"
    assert base.recall_engine(3, notes) == choice
    assert FrozenBase(key=KEY, build=tiny_base, engine="auto").recall_engine(3, notes) is None
    assert [line for line in notes.lines if line.startswith("engine: tensorflow")]


def test_the_base_is_described_beside_its_features(tmp_path: Path) -> None:
    FrozenBase(key=KEY, build=tiny_base, engine="keras").compile(draw_examples(tmp_path, 1), 1, Notes())
    assert json.loads((KEY.folder / "base.json").read_text()) == {
        "backbone": "tiny",
        "weights_sha256": "7" * 64,
        "image_size": SIDE,
        "pooling": "avg",
        "decode_version": 1,
        "features": "last",
        "fit": "squash",
        "num_features": 3,
    }


def test_the_length_of_features_is_noted_beside_them(tmp_path: Path) -> None:
    base = FrozenBase(key=KEY, build=tiny_base, engine="keras")
    assert base.num_features() is None
    base.compile(draw_examples(tmp_path, 1), 1, Notes())
    assert base.num_features() == 3
    for content in ("{}", '{"backbone": "tiny"}', '{"num_features": "3"}', '{"num_features": 0}', "[", "[" * 100_000):
        (KEY.folder / "base.json").write_text(content)
        assert base.num_features() is None


def test_engines_are_measured_on_the_first_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples: list[Pixels] = []
    whole = compiled.compile_base

    def compile_base(model: keras.Model, sample: Pixels, *, engine: str, num_images: int) -> CompiledBase:
        samples.append(sample)
        return whole(model, sample, engine=engine, num_images=num_images)

    monkeypatch.setattr(compiled, "compile_base", compile_base)
    examples = draw_examples(tmp_path, SAMPLE_IMAGES + 3)
    FrozenBase(key=KEY, build=tiny_base, engine="keras").compile(examples, len(examples), Notes())
    (sample,) = samples
    np.testing.assert_allclose(sample.mean((1, 2)) / 255, mean_colours(examples[:SAMPLE_IMAGES]), atol=1e-5)


def test_an_engine_that_runs_here_is_kept_without_a_note() -> None:
    notes = Notes()
    for name in ("auto", "keras", "tensorflow"):
        assert engine_available(name, notes) == name
    assert notes.lines == []


def test_an_engine_that_a_run_was_trained_with_and_that_is_missing_here_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    notes = Notes()
    assert engine_available("openvino", notes) == "auto"
    assert engine_available("of the future", notes) == "auto"
    assert ["`openvino` is not installed" in notes.lines[0], "`of the future`" in notes.lines[1]] == [True, True]


def test_an_engine_that_is_asked_for_and_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = draw_examples(tmp_path, 1)
    base = FrozenBase(key=KEY, build=tiny_base, engine="openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="`openvino` is not installed"):
        base.compile(examples, 1, Notes())


def test_a_remembered_engine_that_fails_is_named_and_forgotten_as_the_hint_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(source: TracedBase, precision: str) -> tuple[Run, int]:
        raise RuntimeError("no such operation: `Twirl`")

    examples = draw_examples(tmp_path, 1)
    base = FrozenBase(key=KEY, build=tiny_base, engine="tensorflow")
    choice = base.compile(examples, 1, Notes()).choice
    broken = replace(ENGINES["tensorflow"], build=build)
    monkeypatch.setitem(ENGINES, "tensorflow", broken)
    with pytest.raises(UserError, match=r"tensorflow .*, chosen before, fails: no such operation: `Twirl`") as caught:
        base.compile_chosen(examples, choice, Notes())
    (KEY.folder / CHOICES_FILE).unlink()
    assert f"`{KEY.folder / CHOICES_FILE}`" in caught.value.hint
    assert base.recall_engine(1, Notes()) is None
