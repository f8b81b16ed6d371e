"""Training on pixels: nothing is cached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.train import train
from tests.pipelines.new_heads import assert_same_backbone, spec_on

Draw = Callable[..., Path]


def test_streaming_trains_the_head_alone(drawn: Path, image_folder: Draw, tmp_path: Path) -> None:
    data = image_folder("stream", per_class=12, seed=11)
    manifest = train(spec_on(drawn, data, tmp_path / "run", cache=False, epochs=2))
    assert manifest.features is None
    assert_same_backbone(tmp_path / "run", drawn / "one")
