"""Missing views are written shard by shard, and what goes wrong on the way is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.arrays import FeatureRows, Pixels
from models.engines.compiled import CompiledBase
from models.engines.records import EngineChoice, EngineReport
from models.errors import UserError
from pipelines.features import compute
from pipelines.features.cached import CLEAN
from pipelines.features.compute import Extraction, WantedView
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from pipelines.system.progress import Silent
from tests.pipelines.features.drawn import KEY, draw_examples, mean_colours

REPORT = EngineReport(images_per_second={}, relative_difference={}, build_seconds={})


def compute_clean(
    examples: list[Example], folder: Path, features_of: Callable[[Pixels], FeatureRows], *, batch: int = 2
) -> ShardStore:
    """Compute the clean views of all examples with a base that is a numpy function."""
    choice = EngineChoice(engine="keras", precision="float32", report=REPORT)
    compiled = CompiledBase(choice=choice, batch=batch, lines=(), run=features_of)
    wanted = [WantedView(key(example.sha256, 0), example, 0) for example in examples]
    store = ShardStore(folder)
    with Silent().task("features", len(wanted)) as task:
        Extraction(compiled=compiled, base=KEY, views=CLEAN, task=task).run(wanted, (store, store), None)
    return store


def means(pixels: Pixels) -> FeatureRows:
    return pixels.mean((1, 2)) / np.float32(255)


@pytest.mark.parametrize(
    ("limit", "value", "num_shards"),
    [("SHARD_ROWS", 4, 3), ("SHARD_ROWS", 100, 1), ("SHARD_BYTES", 1, 5), ("SHARD_SECONDS", 0.0, 5)],
)
def test_a_shard_is_written_when_it_is_full_or_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, num_shards: int
) -> None:
    """Nine images in batches of two: batches of 2, 2, 2, 2 and 1 images."""
    monkeypatch.setattr(compute, limit, value)
    examples = draw_examples(tmp_path / "images", 9)
    store = compute_clean(examples, tmp_path / "shards", means)
    assert len(list((tmp_path / "shards").glob("*.npy"))) == num_shards
    rows = np.stack([store.row(key(example.sha256, 0)) for example in examples])
    np.testing.assert_allclose(rows, mean_colours(examples), atol=2**-11)


def test_features_beyond_float16_are_an_error_and_not_cached(tmp_path: Path) -> None:
    examples = draw_examples(tmp_path / "images", 2)
    with (
        pytest.raises(UserError, match="not finite in float16"),
        np.errstate(over="ignore"),
    ):
        compute_clean(examples, tmp_path / "shards", lambda pixels: means(pixels) * np.float32(1e6))
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize("is_deleted", [True, False])
def test_an_image_that_changed_since_it_was_checked_is_named(tmp_path: Path, is_deleted: bool) -> None:
    examples = draw_examples(tmp_path / "images", 5)
    changed = Path(examples[3].path)
    if is_deleted:
        changed.unlink()
    else:
        changed.write_bytes(b"no longer an image")
    with pytest.raises(UserError) as caught:
        compute_clean(examples, tmp_path / "shards", means, batch=1)
    assert f"`{changed}`" in str(caught.value)
