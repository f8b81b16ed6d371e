"""Exporting: versions, the comparison in a process without headstart, and nothing left behind when it fails."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.errors import UserError
from models.export import EXPORTERS, Exporter, Preprocessing
from models.heads import HEADS, build_head
from models.levels import add_levels
from models.zoo import BACKBONES
from pipelines import export as verb
from pipelines.export import Exported, export_model
from pipelines.inference import parity
from pipelines.inference.parity import Outputs
from pipelines.inference.sample_images import NUM_IMAGES
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.folder import finish_run, write_split
from pipelines.runs.models import save_model
from tests.pipelines.manifests import manifest_with
from tests.pipelines.pictures import drawn, saved

SIDE = 16
NAMES = ("cat", "dög")
CONTENTS = [saved(drawn(40 + seed, 30, seed=seed), form) for seed, form in enumerate(("JPEG", "PNG", "WEBP"))]


def _model(seed: int = 3) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 5, activation="relu")(x))
    return keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))


def _export(out: Path, *formats: str) -> list[Exported]:
    exporters = {name: EXPORTERS[name] for name in formats}
    return export_model(_model(), NAMES, CONTENTS, str(out), exporters, fit="squash")


def test_all_formats_agree_with_the_model_where_headstart_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "exports" / "pets"
    exports = _export(out, "savedmodel", "keras")
    assert [export.path for export in exports] == [out / "1", out / "model.keras"]
    assert [export.images for export in exports] == [3, 3]
    assert all(export.max_difference < 1e-5 and export.top1_agreement == 1 for export in exports)
    assert all(export.bytes > 1000 for export in exports)
    assert sorted(path.name for path in out.iterdir()) == ["1", "model.keras"]
    assert (out / "1" / "saved_model.pb").is_file()
    _require_snippets_run(exports, tmp_path)


def _require_snippets_run(exports: list[Exported], folder: Path) -> None:
    """The scripts that are shown to the user have five lines and give the class that the model gives."""
    (folder / "photo.jpg").write_bytes(CONTENTS[0])
    (folder / "run.json").write_text(json.dumps({"class_names": list(NAMES)}))
    predicted = set()
    for export in exports:
        values = {"path": str(export.path), "manifest": str(folder / "run.json"), "side": SIDE}
        script = EXPORTERS[export.format].snippet.format(**values)
        assert script.count("\n") == 4
        done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
        predicted.add(done.stdout.splitlines()[-1].split()[0])
    assert predicted <= set(NAMES) and len(predicted) == 1


@pytest.mark.slow
def test_a_head_on_levels_agrees_where_headstart_is_missing(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    levels = add_levels(build_backbone(BACKBONES["small_cnn"], weights="none", image_size=32))
    head = build_head(HEADS["linear"], num_features=int(levels.output_shape[-1]), num_classes=2)
    exporters = {name: EXPORTERS[name] for name in ("savedmodel", "keras")}
    model, out = build_classifier(levels, head), str(tmp_path / "pets")
    exports = export_model(model, NAMES, CONTENTS, out, exporters, fit="squash")
    assert all(export.max_difference < 1e-5 and export.top1_agreement == 1 for export in exports)


def test_versions_count_up_and_the_keras_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "predict_in_fresh_process", _echo)
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    assert _export(tmp_path, "savedmodel")[0].path == tmp_path / "8"
    assert _export(tmp_path, "savedmodel")[0].path == tmp_path / "9"
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(UserError, match=r"model.keras` is there already"):
        _export(tmp_path, "savedmodel", "keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["7", "8", "9", "model.keras", "notes"]


def _echo(name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: np.ndarray) -> Outputs:
    """Outputs of an export that is right."""
    return {"probabilities of pixels": parity.predict_on_cpu(_model(), pixels)}


def _stranger(name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: np.ndarray) -> Outputs:
    return {"probabilities of pixels": parity.predict_on_cpu(_model(99), pixels)}


def _nothing(name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: np.ndarray) -> Outputs:
    return {"probabilities of pixels": np.full((len(pixels), 2), np.nan, np.float32)}


def _misnamed(name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: np.ndarray) -> Outputs:
    probabilities = _echo(name, exporter, path, contents, pixels)["probabilities of pixels"]
    best = probabilities.argmax(1)
    wrong = np.asarray([NAMES[1 - column].encode() for column in best])
    return {"probabilities of files": probabilities, "classes of files": wrong, "class ids of files": best}


@pytest.mark.parametrize("predict", [_stranger, _nothing, _misnamed])
def test_a_disagreement_fails_and_leaves_nothing(
    predict: Callable[..., Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "predict_in_fresh_process", predict)
    with pytest.raises(UserError, match="differs from its run") as caught:
        _export(tmp_path / "out", "savedmodel")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_an_export_that_needs_headstart_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(model: keras.Model, path: Path, class_names: Sequence[str], preprocessing: Preprocessing) -> None:
        path.write_bytes(b"import headstart")

    monkeypatch.setitem(EXPORTERS, "keras", replace(EXPORTERS["keras"], save=save))
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="cannot be loaded without headstart") as caught:
        _export(tmp_path, "keras")
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_places_that_cannot_be_written_and_unknown_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        _export(tmp_path / "file", "savedmodel")
    with pytest.raises(UserError, match="cannot be written"):
        _export(tmp_path / "file" / "below", "savedmodel")
    with pytest.raises(UserError) as caught:
        verb.export(str(tmp_path), str(tmp_path / "out"), formats=("savedmodle",))
    assert "savedmodel" in caught.value.hint


def _run(folder: Path, images: dict[str, bytes]) -> Path:
    """A complete run with its images beside it."""
    run = folder / "run"
    run.mkdir()
    examples = []
    for number, (name, data) in enumerate(images.items()):
        (folder / name).write_bytes(data)
        path = str(folder / name)
        examples.append(Example(path=path, label=number % 2, split="validation", sha256=f"{number:064x}", source=path))
    dataset = Dataset(root=str(folder), origin="folders", class_names=NAMES, examples=tuple(examples))
    save_model(_model(), run)
    write_split(run, dataset)
    finish_run(run, manifest_with(class_names=NAMES, image_size=SIDE))
    return run


def test_a_run_is_exported_and_compared_on_its_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def predict(name: str, exporter: Exporter, path: Path, contents: Sequence[bytes], pixels: np.ndarray) -> Outputs:
        seen.append(len(contents))
        return _echo(name, exporter, path, contents, pixels)

    monkeypatch.setattr(verb, "predict_in_fresh_process", predict)
    images = {f"{number}.jpg": saved(drawn(seed=number), "JPEG") for number in range(40)}
    run = _run(tmp_path, {"first.tif": saved(drawn(), "TIFF"), **images})
    exports = verb.export(str(run), str(tmp_path / "out"), formats=("keras",))
    assert exports[0].path == tmp_path / "out" / "model.keras"
    assert exports[0].images == NUM_IMAGES == 16
    picked = [str(tmp_path / "3.jpg"), str(tmp_path / "first.tif")]
    assert verb.export(str(run), str(tmp_path / "more"), formats=("keras",), images=picked)[0].images == 2
    assert seen == [16, 2]
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"page.jpg` cannot be compared on: not an image but a web page"):
        verb.export(str(run), str(tmp_path / "none"), images=[picked[0], str(tmp_path / "page.jpg")])
    for name in images:
        (tmp_path / name).unlink()
    (tmp_path / "first.tif").unlink()
    with pytest.raises(UserError, match="none of 41 images"):
        verb.export(str(run), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_a_new_format_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights_only.py").write_text(
        "def read(path, contents, pixels):\n"
        "    import keras\n"
        "    return {'probabilities of pixels': keras.models.load_model(path).predict_on_batch(pixels)}\n"
    )
    spec = importlib.util.spec_from_file_location("weights_only", tmp_path / "weights_only.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    toy = replace(EXPORTERS["keras"], read=module.read, filename="toy.keras")
    monkeypatch.setitem(EXPORTERS, "toy", toy)
    run = _run(tmp_path, {"a.png": saved(drawn(), "PNG")})
    (exported,) = verb.export(str(run), str(tmp_path / "out"), formats=("toy",))
    assert (exported.format, exported.path) == ("toy", tmp_path / "out" / "toy.keras")
    assert exported.max_difference < 1e-5
