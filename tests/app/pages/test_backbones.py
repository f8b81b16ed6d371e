"""The list of backbones and one backbone layer by layer, in 80 columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from app.pages.backbones import description_page, list_page
from models.weights import weights_file
from models.zoo import BACKBONES
from pipelines.backbones import describe_backbone, list_backbones
from tests.app.pages.samples import printed


def test_list_fits_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = weights_file(BACKBONES["densenet121"])
    file.parent.mkdir()
    h5py.File(file, "w").close()
    lines = printed(list_page(list_backbones(), str(tmp_path)))
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line and line.split()[0] in BACKBONES}
    assert set(rows) == set(BACKBONES)
    assert rows["vgg16"] == ["224", "138.4", "M", "528", "71.3", "90.1", "-", "download"]
    assert rows["densenet121"][-1] == "cached"
    assert rows["lenet5"] == ["32", "0.06", "M", "-", "-", "-", "-", "none"]


def test_measured_rates_stand_in_both_tables() -> None:
    summaries = [
        replace(summary, images_per_second=41.6 if summary.name == "mobilenet_v2" else None)
        for summary in list_backbones()
    ]
    lines = [line.split() for line in printed(list_page(summaries, "home"))]
    assert ["small", "mobilenet_v2", "3.5", "M", "71.3", "42"] in lines
    assert ["mobilenet_v2", "224", "3.5", "M", "14", "71.3", "90.1", "42"] in [line[:8] for line in lines]


def test_one_backbone_layer_by_layer() -> None:
    lines = printed(description_page(describe_backbone("vgg16")))
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines]
    assert ["block1_conv2", "Conv", "224x224x64", "36,928", "12.8", "MB", "5"] in cells
    assert ["fc1", "Dense", "4096", "102,764,544", "16.4", "kB", "all"] in cells
    assert ["block1_pool", "2", "2", "0", "-", "-", "1.5", "2"] in cells
    assert ["block5_conv3", "3", "1", "1", "512", "512", "8.5", "16"] in cells
    assert ["fc1", "-", "-", "-", "25088", "4096", "-", "-"] in cells
    assert ["2", "block4", "5,899,776", "12,979,200"] in cells
    assert any("138,357,544 parameters" in line for line in lines)


@pytest.mark.parametrize("name", ["nasnet_mobile", "convnext_tiny", "inception_v3"])
def test_long_names_fit_too(name: str) -> None:
    lines = printed(description_page(describe_backbone(name)))
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)
