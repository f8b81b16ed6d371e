"""Exporting: versions, the comparison in a process without headstart, and nothing left behind when it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import UserError
from models.export import EXPORTERS
from pipelines import export as story
from pipelines.export import export_model, read_samples
from pipelines.inference import parity
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


def test_both_formats_agree_with_the_model_where_headstart_is_not(tmp_path: Path) -> None:
    out = tmp_path / "exports" / "pets"
    found = export_model(_model(), NAMES, CONTENTS, str(out), formats=("savedmodel", "keras"))
    assert [each.path for each in found] == [out / "1", out / "model.keras"]
    assert [each.images for each in found] == [3, 3]
    assert all(each.max_difference < 1e-5 and each.top1_agreement == 1 and each.bytes > 1000 for each in found)
    assert sorted(each.name for each in out.iterdir()) == ["1", "model.keras"]
    assert (out / "1" / "saved_model.pb").is_file()


def test_versions_count_up_and_the_keras_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "ask_in_fresh_process", _echo)
    (tmp_path / "7").mkdir()
    (tmp_path / "notes").mkdir()
    assert export_model(_model(), NAMES, CONTENTS, str(tmp_path))[0].path == tmp_path / "8"
    assert export_model(_model(), NAMES, CONTENTS, str(tmp_path))[0].path == tmp_path / "9"
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(UserError, match=r"model.keras` is there already"):
        export_model(_model(), NAMES, CONTENTS, str(tmp_path), formats=("savedmodel", "keras"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["7", "8", "9", "model.keras", "notes"]


def _echo(name: str, path: Path, contents: Any, pixels: np.ndarray) -> dict[str, Any]:
    """Answers as of an export that is right."""
    return {"probabilities of pixels": parity.probabilities(_model(), pixels)}


def _stranger(name: str, path: Path, contents: Any, pixels: np.ndarray) -> dict[str, Any]:
    return {"probabilities of pixels": parity.probabilities(_model(99), pixels)}


def _nothing(name: str, path: Path, contents: Any, pixels: np.ndarray) -> dict[str, Any]:
    return {"probabilities of pixels": np.full((len(pixels), 2), np.nan, np.float32)}


def _misnamed(name: str, path: Path, contents: Any, pixels: np.ndarray) -> dict[str, Any]:
    found = _echo(name, path, contents, pixels)["probabilities of pixels"]
    wrong = np.asarray([NAMES[1 - each].encode() for each in found.argmax(1)])
    return {"probabilities of files": found, "classes of files": wrong, "class ids of files": found.argmax(1)}


@pytest.mark.parametrize("answer", [_stranger, _nothing, _misnamed])
def test_a_disagreement_fails_and_leaves_nothing(answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "ask_in_fresh_process", answer)
    with pytest.raises(UserError, match="does not answer as its run does") as caught:
        export_model(_model(), NAMES, CONTENTS, str(tmp_path / "out"))
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_an_export_that_needs_headstart_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(model: keras.Model, path: Path, class_names: Any, pixels: Any) -> None:
        path.write_bytes(b"import headstart")

    monkeypatch.setitem(EXPORTERS, "keras", replace(EXPORTERS["keras"], save=save))
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="cannot be loaded without headstart") as caught:
        export_model(_model(), NAMES, CONTENTS, str(tmp_path), formats=("keras",))
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message
    assert [each.name for each in tmp_path.iterdir()] == ["kept.txt"]


def test_ties_within_the_tolerance_agree() -> None:
    expected = np.asarray([[0.5, 0.5], [0.9, 0.1]], np.float32)
    near = {"probabilities of pixels": expected + np.asarray([[-3e-5, 3e-5], [0, 0]], np.float32)}
    assert parity.compare_outputs("keras", near, expected, NAMES)[1] == 1.0
    far = {"probabilities of pixels": expected + np.asarray([[-3e-4, 3e-4], [0, 0]], np.float32)}
    with pytest.raises(UserError, match=r"up to 0\.0003"):
        parity.compare_outputs("keras", far, expected, NAMES)
    turned = np.asarray([[0.5, 0.5], [0.1, 0.9]], np.float32)
    with pytest.raises(UserError, match=r"50\.0%"):
        parity.compare_outputs("keras", {"probabilities of pixels": turned}, expected, NAMES)


def test_samples_are_the_readable_ones(tmp_path: Path) -> None:
    paths = []
    for number, data in enumerate([b"", *CONTENTS, saved(drawn(), "TIFF")]):
        paths.append(str(tmp_path / f"{number}.img"))
        Path(paths[-1]).write_bytes(data)
    found = read_samples(paths)
    assert found[:3] == CONTENTS and found[3].startswith(b"\x89PNG")
    assert read_samples(paths, limit=2) == CONTENTS[:2]
    with pytest.raises(UserError, match="none of 1 images"):
        read_samples(paths[:1])


def test_bad_places_and_formats(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        export_model(_model(), NAMES, CONTENTS, str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written"):
        export_model(_model(), NAMES, CONTENTS, str(tmp_path / "file" / "below"))
    with pytest.raises(UserError) as caught:
        story.export(str(tmp_path), str(tmp_path / "out"), formats=("savedmodle",))
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

    def ask(name: str, path: Path, contents: Any, pixels: np.ndarray) -> dict[str, Any]:
        seen.append(len(contents))
        return _echo(name, path, contents, pixels)

    monkeypatch.setattr(story, "ask_in_fresh_process", ask)
    images = {f"{number}.jpg": saved(drawn(seed=number), "JPEG") for number in range(40)}
    run = _run(tmp_path, {"first.tif": saved(drawn(), "TIFF"), **images})
    found = story.export(str(run), str(tmp_path / "out"), formats=("keras",))
    assert found[0].path == tmp_path / "out" / "model.keras"
    assert found[0].images == story.NUM_IMAGES == 16
    picked = [str(tmp_path / "3.jpg"), str(tmp_path / "first.tif")]
    assert story.export(str(run), str(tmp_path / "more"), formats=("keras",), images=picked)[0].images == 2
    assert seen == [16, 2]
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"page.jpg` cannot be compared on: not an image but a web page"):
        story.export(str(run), str(tmp_path / "none"), images=[picked[0], str(tmp_path / "page.jpg")])
    for name in images:
        (tmp_path / name).unlink()
    (tmp_path / "first.tif").unlink()
    with pytest.raises(UserError, match="none of 41 images"):
        story.export(str(run), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
