"""Features are computed once, in whatever order and under whatever names their images come."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.engines.records import EngineChoice, EngineReport
from models.errors import UserError
from pipelines.features import remembered_engines
from pipelines.features.cached import CLEAN, Views
from pipelines.features.extract import Extracted, extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.features.remembered_engines import CHOICES_FILE, RememberedEngines
from pipelines.features.shards import key, write_shard
from pipelines.runs.examples import Example
from pipelines.runs.layout import is_run
from pipelines.train import train
from tests.pipelines.features.drawn import KEY, Notes, draw_examples, mean_colours, tiny_base
from tests.specs import train_spec

ROOT = Path(__file__).resolve().parents[3]
TWO_VIEWS = Views(count=2, policy="brighter", policy_digest="b" * 16, seed=5)
REPORT = EngineReport(images_per_second={}, relative_difference={}, build_seconds={})
# float16 has 11 bits: means below 1 are rounded by less than this.
HALF = 2**-12


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(
    examples: list[Example], *, engine: str = "keras", views: Views = CLEAN, build: Any = tiny_base
) -> tuple[Extracted, list[str]]:
    notes = Notes()
    base = FrozenBase(key=KEY, build=build, engine=engine)
    extracted = extract(
        {"train": examples},
        base,
        views={"train": views},
        augmenter=brighter if views.count > 1 else None,
        reporter=notes,
    )
    return extracted, notes.lines


def brighter(image: Any, seed: Any, view: Any) -> Any:
    import tensorflow as tf

    return image * 0.5 * tf.cast(view, tf.float32)


def must_not_be_built() -> Any:
    raise AssertionError("the base is built")


def test_features_are_those_of_the_base_rounded_to_float16(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 40)
    extracted, _ = run(examples)
    rows = extracted.parts["train"].rows(np.arange(40))
    np.testing.assert_allclose(rows, mean_colours(examples), atol=2 * HALF)
    assert (extracted.record.images, extracted.record.cached, extracted.record.new) == (40, 0, 40)
    assert (extracted.engine.engine, extracted.engine.precision) == ("keras", "float32")


def test_a_warm_cache_builds_no_base_whatever_the_names_and_the_order(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 6)
    before, _ = run(examples)
    renamed = [replace(example, path="gone", source="gone") for example in reversed(examples)]
    after, _ = run(renamed, build=must_not_be_built)
    assert (after.record.cached, after.record.new) == (6, 0)
    order = np.arange(6)
    np.testing.assert_array_equal(after.parts["train"].rows(order), before.parts["train"].rows(order[::-1]))


def test_only_what_is_missing_is_computed_and_each_content_once(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 4)
    run(examples[:1])
    extracted, lines = run([*examples, examples[3]])
    assert not any("anew" in line for line in lines)
    assert (extracted.record.cached, extracted.record.new) == (2, 3)
    np.testing.assert_allclose(
        extracted.parts["train"].rows(np.arange(5)), mean_colours([*examples, examples[3]]), atol=2 * HALF
    )


def test_a_clean_view_is_shared_and_augmented_ones_belong_to_their_policy_and_seed(tmp_path: Path, cache: Path) -> None:
    examples = draw_examples(tmp_path, 5)
    run(examples)
    extracted, _ = run(examples, views=TWO_VIEWS)
    assert (extracted.record.views, extracted.record.cached, extracted.record.new) == (2, 5, 5)
    augmented = extracted.parts["train"].rows(np.arange(5), np.ones(5, int))
    np.testing.assert_allclose(augmented, mean_colours(examples) * 0.5, atol=2 * HALF)
    other_seed, _ = run(examples, views=replace(TWO_VIEWS, seed=6))
    assert other_seed.record.new == 5
    assert len({path.parent for path in cache.rglob("*.npy")}) == 3


def test_a_damaged_shard_is_computed_again_and_counted(tmp_path: Path, cache: Path) -> None:
    examples = draw_examples(tmp_path, 3)
    run(examples)
    (shard,) = cache.rglob("*.npy")
    shard.write_bytes(shard.read_bytes()[:-1])
    extracted, lines = run(examples)
    assert (extracted.record.damaged_shards, extracted.record.new) == (1, 3)
    assert "1 damaged shard of the feature cache deleted: computing its features again" in lines
    assert run(examples)[0].record.damaged_shards == 0


def test_a_shard_with_rows_of_another_length_is_computed_again(tmp_path: Path, cache: Path) -> None:
    examples = draw_examples(tmp_path, 3)
    before, _ = run(examples)
    (shard,) = cache.rglob("*.npy")
    keys = [key(example.sha256, 0) for example in examples]
    write_shard(shard.parent, keys, np.zeros((3, 7), np.float16))  # the base gives three features
    shard.unlink()
    extracted, _ = run(examples)
    assert (extracted.record.damaged_shards, extracted.record.new) == (1, 3)
    places = np.arange(3)
    np.testing.assert_array_equal(extracted.parts["train"].rows(places), before.parts["train"].rows(places))


def test_features_of_another_precision_are_computed_anew_and_the_user_is_told_once(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 3)
    run(examples)
    (KEY.folder / "clean-float32").rename(KEY.folder / "clean-bfloat16")
    lines = [[line for line in run(examples)[1] if "computing features anew" in line] for _ in range(2)]
    assert lines[1] == []
    (line,) = lines[0]
    assert "bfloat16" in line
    assert line.endswith("computes in float32")


@pytest.mark.parametrize("reason", ["another machine", "another version", "unknown engine"])
def test_a_choice_that_does_not_fit_here_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """It was made with openvino, which is missing here; the features of then are still used."""
    examples = draw_examples(tmp_path, 3)
    run(examples)
    memory = RememberedEngines(file=KEY.folder / CHOICES_FILE)
    choice = EngineChoice(engine="openvino", precision="float32", report=REPORT)
    with monkeypatch.context() as then:
        if reason == "another machine":
            then.setattr(remembered_engines, "processor_name", lambda: "another processor x 64")
        elif reason == "another version":
            then.setattr(remembered_engines, "installed_version", lambda package: "0.0.1")
        else:
            choice = replace(choice, engine="warp drive")
        assert memory.write("auto", choice) == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    extracted, lines = run(examples, engine="auto")

    assert extracted.engine.engine == "keras"  # Three images are worth no other engine.
    assert extracted.record.cached == 3
    assert any(line.startswith("measuring engines again: ") for line in lines)
    again, lines = run(examples, engine="auto", build=must_not_be_built)
    assert again.engine == extracted.engine
    assert not any("measuring" in line for line in lines)


def test_files_of_earlier_memories_change_nothing(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path, 3)
    KEY.folder.mkdir(parents=True)
    (KEY.folder / "engine-auto.json").write_text('{"engine": "openvino", "precision": "int4", "report": {}}')
    (KEY.folder / "engines.json").write_text('{"0123": {"engine": "nothing"}}')
    extracted, lines = run(examples, engine="auto")
    assert (extracted.engine.engine, extracted.record.new) == ("keras", 3)
    assert not any("measuring" in line for line in lines)


def test_a_cache_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path, cache: Path) -> None:
    cache.touch()
    with pytest.raises(UserError, match="cannot be written") as caught:
        run(draw_examples(tmp_path / "images", 1))
    assert "HEADSTART_CACHE" in caught.value.hint


def test_a_killed_computation_goes_on_where_it_was(
    image_folder: Callable[..., Path], tmp_path: Path, cache: Path
) -> None:
    small = image_folder("small", per_class=8)
    base = tmp_path / "base"
    train(train_spec(data=str(small), out=str(base), backbone="small_cnn", weights="none", epochs=1))
    data, out = image_folder("data", per_class=24, seed=1), tmp_path / "run"
    # Small shards, and a base that takes its time: the kill comes in the middle.
    script = f"""
import sys, time; sys.path.insert(0, {str(ROOT)!r})
from models.engines.compiled import CompiledBase
from pipelines.features import compute
from tests.specs import train_spec
from pipelines.train import train
compute.SHARD_ROWS = 1
whole = CompiledBase.__call__
def slowly(self, pixels):
    time.sleep(0.5)
    return whole(self, pixels)
CompiledBase.__call__ = slowly
train(train_spec(data={str(data)!r}, out={str(out)!r}, backbone={str(base)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not list(cache.rglob("*.npy")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not is_run(out)
    manifest = train(train_spec(data=str(data), out=str(out), backbone=str(base)))
    assert manifest.features is not None
    assert 0 < manifest.features.cached < 72
    assert manifest.features.new == 72 - manifest.features.cached
    assert manifest.features.damaged_shards == 0
