"""Features survive a kill: what was computed is kept, and the rest is computed by the next process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.runs.read_manifest import is_run
from pipelines.train import train
from tests.specs import train_spec

ROOT = Path(__file__).resolve().parents[3]


def test_a_killed_computation_goes_on_where_it_was(
    image_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    small = image_folder("small", per_class=8)
    base = tmp_path / "base"
    train(train_spec(data=str(small), out=str(base), backbone="small_cnn", weights="none", epochs=1))
    data, out = image_folder("data", per_class=60, seed=1), tmp_path / "run"
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
    while not list((tmp_path / "cache").rglob("*.npy")) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not is_run(out)
    manifest = train(train_spec(data=str(data), out=str(out), backbone=str(base)))
    assert manifest.features is not None
    assert 0 < manifest.features.cached < 180
    assert manifest.features.new == 180 - manifest.features.cached
    assert manifest.features.damaged_shards == 0
