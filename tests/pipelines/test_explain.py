"""`explain` on trained runs: files, records, hostile names, unreadable pictures, and folders that it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.errors import UserError
from pipelines.explain import ExplainRequest, explain
from pipelines.explanations.methods import METHODS
from pipelines.predict import predict
from tests.pipelines.conftest import CLASSES


def test_each_picture_gets_a_panel_an_array_and_a_record(drawn: Path, tmp_path: Path) -> None:
    inputs = [str(drawn / "data" / name / "00.png") for name in CLASSES]
    request = ExplainRequest(methods=("hirescam", "gradient"))
    written = explain(str(drawn / "one"), inputs, str(tmp_path / "out"), request)
    rows = list(predict(str(drawn / "one"), inputs)[1])
    assert [record["path"] for record in written.records] == inputs
    assert len(written.panels) == 6 and written.grid == tmp_path / "out" / "explanations.png"
    for number, (record, row) in enumerate(zip(written.records, rows, strict=True), 1):
        stem = tmp_path / "out" / f"{number:04d}-00"
        assert json.loads(stem.with_suffix(".json").read_text()) == record
        assert record["class"] == record["predicted"] == row.label
        assert record["probability"] == pytest.approx(row.probability, abs=1e-5)
        assert record["probabilities"] == pytest.approx(dict(row.top_k), abs=1e-5)
        for described in record["maps"]:
            array = np.load(stem.parent / described["array"])
            assert array.dtype == np.float32 and array.shape == (record["square"]["size"],) * 2
            assert described["sum"] == pytest.approx(array.astype(np.float64).sum())
            with Image.open(stem.parent / described["picture"]) as panel:
                assert panel.size == (3 * 320 + 32, 320 + 38)
    index = json.loads((tmp_path / "out" / "explanations.json").read_text())
    assert index["pictures"] == list(written.records) and index["unreadable"] == []


def test_a_class_may_be_chosen(drawn: Path, tmp_path: Path) -> None:
    file = str(drawn / "data" / "circle" / "01.png")
    written = explain(str(drawn / "one"), [file], str(tmp_path), ExplainRequest(class_name="square"))
    assert written.records[0]["class"] == "square"
    assert written.grid is None
    with pytest.raises(UserError, match="unknown class: `sqare`") as error:
        explain(str(drawn / "one"), [file], str(tmp_path), ExplainRequest(class_name="sqare"))
    assert "`square`" in str(error.value.hint)


def test_hostile_names_and_unreadable_pictures(drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    content = (drawn / "data" / "circle" / "00.png").read_bytes()
    names = ["<script>alert('1').png", "-rf.png", "a\nb.png", "é" * 100 + ".png"]
    for name in names:
        (folder / name).write_bytes(content)
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png"))).write_bytes(content)
    (folder / "broken.png").write_bytes(content[:60])
    (folder / "notes.md").write_text("no picture")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    written = explain(str(drawn / "one"), [str(folder), "missing.png"], str(tmp_path / "out"))
    assert len(written.records) == len(names) + 1
    assert [os.path.basename(path) for path, _ in written.unreadable] == ["broken.png", "missing.png"]
    assert written.others == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    for file in (tmp_path / "out").iterdir():
        assert file.name.isascii() and len(file.name) < 100 and not set(file.name) & set("<>'\n/")


def test_what_lies_among_pictures_or_holds_something_else_is_refused(drawn: Path, tmp_path: Path) -> None:
    run, data = str(drawn / "one"), drawn / "data"
    picture = str(data / "circle" / "00.png")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "list.txt").write_text(picture)
    for inputs, out, message in (
        ([str(data)], data / "explained", "inside the images"),
        ([picture], data / "circle", "not empty"),
        ([picture], tmp_path / "mine", "not empty"),
        ([picture], tmp_path / "list.txt", "is a file"),
        ([picture], drawn / "one", "is a run"),
    ):
        with pytest.raises(UserError, match=message):
            explain(run, inputs, str(out))
    assert sorted(os.listdir(tmp_path / "mine")) == ["letter.txt"]


def test_a_list_may_not_lead_into_the_folder_for_results(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    explain(str(drawn / "one"), [str(drawn / "data" / "circle" / "00.png")], str(out))
    (out / "0001-00.gradient.png").write_bytes((drawn / "data" / "circle" / "00.png").read_bytes())
    (tmp_path / "list.txt").write_text(str(out / "0001-00.gradient.png"))
    with pytest.raises(UserError, match="beside the image"):
        explain(str(drawn / "one"), [str(tmp_path / "list.txt")], str(out), ExplainRequest(methods=("gradient",)))


def test_unknown_methods_and_a_layer_without_use_are_errors(drawn: Path, tmp_path: Path) -> None:
    for request, message in (
        (ExplainRequest(methods=("hirscam",)), "unknown method"),
        (ExplainRequest(layer="block1_conv"), "--layer is for activations"),
    ):
        with pytest.raises(UserError, match=message):
            explain(str(drawn / "one"), [str(drawn / "data")], str(tmp_path / "out"), request)
    assert not (tmp_path / "out").exists()


def test_the_table_describes_itself() -> None:
    for method in METHODS.values():
        assert "20" in method.paper or "19" in method.paper
        assert not method.about.endswith(".")
