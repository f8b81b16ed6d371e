"""The parts of the GPU engine that need no GPU."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from keras import layers

from models.backbones import build_backbone
from models.classifier import build_feature_extractor
from models.engines import gpu
from models.keras_private import all_layers
from models.levels import add_levels
from models.zoo import BACKBONES
from tests.models.engines.tiny import pictures, plain, relative_difference

ROOT = Path(__file__).resolve().parents[3]


def test_a_batch_is_halved_until_it_fits() -> None:
    tried = []

    def attempt(batch: int) -> None:
        tried.append(batch)
        if batch > 40:
            raise MemoryError

    assert gpu.largest_batch(attempt, MemoryError, largest=256) == 32
    assert tried == [256, 128, 64, 32]


def test_a_gpu_that_holds_not_one_image_is_an_error() -> None:
    def attempt(batch: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        gpu.largest_batch(attempt, MemoryError)


@pytest.mark.parametrize("features", ["last", "levels"])
def test_a_copy_in_half_precision_keeps_scaling_and_pooling_exact(features: str) -> None:
    keras.utils.set_random_seed(0)
    backbone = build_backbone(BACKBONES["mobilenet_v2"], weights="none", image_size=32)
    model = build_feature_extractor(add_levels(backbone) if features == "levels" else backbone)
    pixels = pictures(2, 32)

    copy = gpu.lowered(model, "mixed_bfloat16")

    types = {layer.name: layer.compute_dtype for layer in all_layers(copy) if isinstance(layer, layers.Layer)}
    assert types["Conv1"] == types["Conv_1"] == "bfloat16"
    assert types["scaling"] == types["pooling"] == "float32"
    joined = [name for name in types if name.startswith("level")]
    assert len(joined) == (8 if features == "levels" else 0)
    assert all(types[name] == "float32" for name in joined)
    assert copy.output.dtype == "float32"
    # 53 layers of rounding to 8 bits: 0.015 on a processor with units for it, 0.021 where each operation rounds.
    assert 0 < relative_difference(plain(copy, pixels), plain(model, pixels)) < 3e-2


@pytest.mark.parametrize("devices", [("null", "tty0", "nvme0n1"), ()])
def test_without_a_driver_there_is_no_gpu_and_tensorflow_is_not_imported(
    devices: tuple[str, ...], tmp_path: Path
) -> None:
    for name in devices:
        (tmp_path / name).touch()
    script = f"""
import pathlib, sys
from models import machine
from models.engines.table import ENGINES
machine._DEVICES = pathlib.Path({str(tmp_path)!r})
assert ENGINES["gpu"].precisions() == ()
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize("device", ["nvidia0", "nvidiactl", "dxg", "kfd"])
def test_where_a_driver_is_tensorflow_is_asked(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / device).touch()
    monkeypatch.setattr("models.machine._DEVICES", tmp_path)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [f"{kind} 0"])
    monkeypatch.setattr(
        "tensorflow.config.experimental.get_device_details", lambda device: {"compute_capability": (7, 5)}
    )
    assert gpu.precisions() == ("float16",)
