from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.__main__ import run
from models.weights import weights_file
from models.zoo import BACKBONES


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = weights_file(BACKBONES["densenet121"])
    file.parent.mkdir()
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    return tmp_path


def test_list_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "backbones").splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)
    rows = {line.split()[0]: line.split()[1:] for line in lines if line and line.split()[0] in BACKBONES}
    assert set(rows) == set(BACKBONES)
    assert rows["vgg16"] == ["224", "138.4", "M", "528", "71.3", "90.1", "download"]
    assert rows["densenet121"][-1] == "cached"
    assert rows["lenet5"] == ["32", "0.06", "M", "-", "-", "-", "none"]


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "backbones", "--json"))
    assert [row["name"] for row in rows] == list(BACKBONES)
    found = next(row for row in rows if row["name"] == "densenet121")
    assert found == {
        "name": "densenet121",
        "family": "DenseNet",
        "image_size": 224,
        "parameters": 8_062_504,
        "base_parameters": 7_037_504,
        "size_mb": 33,
        "top1": 75.0,
        "top5": 92.3,
        "pretrained": True,
        "cached": True,
    }


def test_one_backbone_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "backbones", "vgg16").splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines]
    assert ["block1_conv2", "Conv", "224x224x64", "36,928", "12.8", "MB", "5"] in cells
    assert ["fc1", "Dense", "4096", "102,764,544", "16.4", "kB", "all"] in cells
    assert ["2", "block4", "5,899,776", "12,979,200"] in cells
    assert any("138,357,544 parameters" in line for line in lines)


@pytest.mark.parametrize("name", ["nasnet_mobile", "convnext_tiny", "inception_v3"])
def test_long_names_fit_too(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "backbones", name).splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in "".join(lines)


def test_one_backbone_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "backbones", "small_cnn", "--json"))
    assert found["name"] == "small_cnn" and found["image_size"] == 32
    assert {"name", "type", "shape", "parameters", "activation_bytes", "receptive_field"} <= set(found["layers"][0])
    assert [(block["name"], block["from_top"]) for block in found["blocks"]] == [
        ("block3", 1),
        ("block2", 2),
        ("block1", 3),
    ]
    assert found["blocks"][-1]["trained"] == 93_920


def test_unknown_backbone_has_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backbones", "resnet51"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "unknown backbone: `resnet51`" in err and "`resnet50`" in err
