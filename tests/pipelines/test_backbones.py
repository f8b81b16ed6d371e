"""The list of backbones needs no Keras; a description agrees with the network that Keras builds."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import h5py
import keras
import pytest

from models.backbones import build_backbone
from models.errors import UserError
from models.weights import weights_file
from models.zoo import BACKBONES
from pipelines.backbones import describe_backbone, list_backbones

ROOT = Path(__file__).resolve().parents[2]


def test_every_backbone_is_listed_in_the_order_of_the_table() -> None:
    summaries = list_backbones()
    assert [summary.name for summary in summaries] == list(BACKBONES)
    assert json.loads(json.dumps([summary.to_json() for summary in summaries]))[0]["name"] == summaries[0].name


def test_a_backbone_is_cached_where_its_file_is_in_keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert not any(summary.cached for summary in list_backbones())
    file = weights_file(BACKBONES["vgg16"])
    file.parent.mkdir(parents=True)
    h5py.File(file, "w").close()
    assert [summary.name for summary in list_backbones() if summary.cached] == ["vgg16"]


def test_the_parameters_of_a_summary_are_those_of_keras() -> None:
    summary = next(summary for summary in list_backbones() if summary.name == "mobilenet_v2")
    assert summary.parameters == keras.applications.MobileNetV2(weights=None).count_params()
    assert summary.base_parameters == keras.applications.MobileNetV2(weights=None, include_top=False).count_params()


def test_a_description_has_all_layers_and_counts_blocks_from_the_top() -> None:
    description = describe_backbone("mobilenet_v2")
    reference = keras.applications.MobileNetV2(weights=None)
    parameters = [layer.count_params() for layer in reference.layers if layer.count_params()]
    assert [layer.parameters for layer in description.layers if layer.parameters] == parameters
    assert description.image_size == reference.input_shape[1]

    blocks = description.blocks
    assert [block.from_top for block in blocks] == list(range(1, len(blocks) + 1))
    assert [block.trained for block in blocks] == list(accumulate(block.parameters for block in blocks))
    assert blocks[-1].trained == build_backbone(BACKBONES["mobilenet_v2"], weights="none").count_params()


def test_a_file_is_described_with_its_head(tmp_path: Path) -> None:
    pixels = keras.Input((24, 24, 3))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="conv")(pixels))
    keras.Model(pixels, keras.layers.Dense(2, name="scores")(features)).save(tmp_path / "net.keras")
    description = describe_backbone(str(tmp_path / "net.keras"))
    assert description.image_size == 24
    assert [layer.parameters for layer in description.layers if layer.parameters] == [112, 10]
    assert [block.parameters for block in description.blocks] == [112]
    with pytest.raises(UserError, match="24 x 24"):
        describe_backbone(str(tmp_path / "net.keras"), image_size=32)


def test_a_description_is_plain_data() -> None:
    values = json.loads(json.dumps(describe_backbone("small_cnn").to_json()))
    assert list(values) == ["name", "image_size", "layers", "blocks"]
    assert list(values["blocks"][0]) == ["name", "from_top", "parameters", "trained"]
    assert [block["name"] for block in values["blocks"]] == ["block3", "block2", "block1"]


def test_an_unknown_name_is_an_error_before_keras_is_imported() -> None:
    with pytest.raises(UserError, match="unknown backbone: `resnet51`"):
        describe_backbone("resnet51")
    code = (
        "import sys\n"
        "from models.errors import UserError\n"
        "from pipelines.backbones import describe_backbone, list_backbones\n"
        "list_backbones()\n"
        "try:\n    describe_backbone('resnet51')\nexcept UserError:\n    pass\n"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
