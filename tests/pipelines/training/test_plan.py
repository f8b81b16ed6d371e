"""A training with an engine that cannot run here is refused before it reads an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.engines import gpu
from models.errors import UserError
from pipelines.training.plan import look_up_names
from tests.specs import train_spec


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file in the place of weights: the plan does not read it."""
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return str(path)


def test_the_gpu_engine_without_a_gpu_is_refused(weights: str) -> None:
    if gpu.precisions():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU for the engine `gpu`") as caught:
        look_up_names(train_spec(backbone="mobilenet_v2", weights=weights, engine="gpu"))
    assert "--engine auto" in caught.value.hint


def test_an_engine_that_is_not_installed_is_refused(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="`openvino` is not installed"):
        look_up_names(train_spec(backbone="mobilenet_v2", weights=weights, engine="openvino"))


@pytest.mark.parametrize("options", [{"backbone": "mobilenet_v2", "cache": False}, {"backbone": "small_cnn"}])
def test_an_engine_does_not_matter_where_no_features_are_extracted(
    options: dict[str, Any], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    of_backbone = "none" if options["backbone"] == "small_cnn" else weights
    names = look_up_names(train_spec(weights=of_backbone, engine="openvino", **options))
    assert names.source.name == options["backbone"]
