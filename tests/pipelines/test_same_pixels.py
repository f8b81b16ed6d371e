"""Training, evaluation, prediction and exports of one run see the same pixels, whatever the shape of an image.

The model of the run hands its pixels out as probabilities, so that each of them can be read back and compared with
Pillow's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from models.export import Exporter
from pipelines import evaluate, predict
from pipelines import export as export_verb
from pipelines.features.cached import CLEAN
from pipelines.features.extract import extract
from pipelines.features.frozen_base import FrozenBase
from pipelines.images import batches, decode
from pipelines.inference import test_time
from pipelines.inference.examples import predict_examples
from pipelines.inference.parity import Outputs
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.folder import finish_run, write_split
from pipelines.runs.models import save_model
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.square import Fit
from pipelines.system.progress import Silent
from pipelines.train import train
from pipelines.training.inputs import pixels_of
from pipelines.training.pixel_stage import predict_parts
from tests.pipelines.features.drawn import KEY
from tests.pipelines.manifests import manifest_with
from tests.pipelines.new_heads import spec_on
from tests.pipelines.pictures import drawn, exif, pillow_fitted, pillow_pixels, saved
from tests.pipelines.training.test_inputs import plan_of

SIDE = 12
NAMES = tuple(f"{number:03d}" for number in range(SIDE * SIDE * 3))
FITS: tuple[Fit, ...] = get_args(Fit)


def _rgba() -> Image.Image:
    image = drawn(61, 40).convert("RGBA")
    image.putalpha(200)
    return image


PICTURES = {
    "turned.jpg": saved(drawn(90, 61), "JPEG", quality=95, subsampling=0, exif=b"Exif\0\0" + exif(6)),
    "large.jpg": saved(drawn(1001, 400), "JPEG", quality=95, subsampling=0),
    "tall.png": saved(drawn(31, 96), "PNG"),
    "wide.webp": saved(drawn(97, 40), "WEBP", lossless=True),
    "line.png": saved(drawn(500, 1), "PNG"),
    "transparent.png": saved(_rgba(), "PNG"),
    "scan.tif": saved(drawn(50, 77), "TIFF"),
}


def _pixels_as_probabilities() -> keras.Model:
    pixels = keras.Input((SIDE, SIDE, 3))
    values = keras.layers.Flatten()(pixels)
    return keras.Model(pixels, values / keras.ops.sum(values, axis=1, keepdims=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A run whose model hands its pixels out.

    Attributes:
        folder: of the run.
        examples: the pictures.
        expected: (pictures, side, side, 3) as Pillow makes them.
    """

    folder: str
    examples: list[Example]
    expected: np.ndarray

    def assert_same(self, probabilities: np.ndarray) -> None:
        """Read the pixels back from probabilities (pictures, values) and compare them with Pillow's."""
        totals = self.expected.sum((1, 2, 3))
        pixels = np.reshape(probabilities * totals[:, None], self.expected.shape)
        difference = np.abs(pixels - self.expected).mean((1, 2, 3))
        # As for the decoding itself: Pillow rounds twice, and a JPEG's colours are interpolated otherwise.
        assert (difference < [1.0 if example.path.endswith(".jpg") else 0.4 for example in self.examples]).all()


@pytest.fixture(params=FITS)
def fit(request: pytest.FixtureRequest) -> Fit:
    return request.param


@pytest.fixture
def viewer(fit: Fit, tmp_path: Path) -> Viewer:
    examples = []
    for name, data in PICTURES.items():
        path = tmp_path / name
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        # A TIFF is transcoded when it is checked.
        source = tmp_path / "transcoded.png" if name == "scan.tif" else path
        examples.append(Example(path=str(path), source=str(source), label=0, split="validation", sha256=sha256))
    (tmp_path / "transcoded.png").write_bytes(saved(drawn(50, 77), "PNG"))
    run = tmp_path / "run"
    run.mkdir()
    save_model(_pixels_as_probabilities(), run)
    write_split(run, Dataset(root=str(tmp_path), origin="folders", class_names=NAMES, examples=tuple(examples)))
    finish_run(run, manifest_with(class_names=NAMES, image_size=SIDE, fit=fit))
    expected = np.stack([pillow_fitted(data, SIDE, fit) for data in PICTURES.values()])
    return Viewer(folder=str(run), examples=examples, expected=expected)


def test_training_sees_the_pixels(viewer: Viewer, fit: Fit) -> None:
    training = [replace(example, split="train") for example in viewer.examples]
    plan = plan_of((*training, *viewer.examples), fit=fit, batch=len(training), class_weights="none")
    model = _pixels_as_probabilities()
    viewer.assert_same(predict_parts(plan, model, SIDE)["validation"][0])
    data = pixels_of(plan, SIDE)
    ((validation, _),) = data.validation
    viewer.assert_same(model.predict_on_batch(validation))
    ((shuffled, _),) = data.train(0)
    order = np.random.default_rng([plan.spec.fit.seed, 0]).permutation(len(training))
    viewer.assert_same(model.predict_on_batch(shuffled.numpy()[np.argsort(order)]))


def test_features_are_those_of_the_pixels(
    viewer: Viewer, fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    base = FrozenBase(key=replace(KEY, image_size=SIDE, fit=fit), build=_pixels_as_probabilities, engine="keras")
    viewer.assert_same(np.asarray(base._sample(viewer.examples)).reshape(len(viewer.examples), -1) / _sums(viewer))
    extracted = extract({"train": viewer.examples}, base, views={"train": CLEAN}, augmenter=None, reporter=Silent())
    viewer.assert_same(extracted.parts["train"].rows(np.arange(len(viewer.examples))))


def _sums(viewer: Viewer) -> np.ndarray:
    return viewer.expected.sum((1, 2, 3))[:, None]


def test_evaluation_and_its_views_see_the_pixels(viewer: Viewer, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest(viewer.folder)
    viewer.assert_same(predict_examples(viewer.folder, manifest, viewer.examples, cache=False, reporter=Silent())[0])
    # One view that is the image itself.
    monkeypatch.setattr(test_time, "build_views", lambda tta, size: lambda pixels: [pixels])
    views, _ = test_time.predict_with_gain(
        _pixels_as_probabilities(), viewer.examples, "crop10", fit=fit, part="all", reporter=Silent()
    )
    viewer.assert_same(views)


def test_predictions_are_of_the_pixels(viewer: Viewer) -> None:
    paths = [example.path for example in viewer.examples]
    _, rows = predict.predict(viewer.folder, paths, top_k=len(NAMES))
    probabilities = [dict(row.top_k) for row in rows]
    viewer.assert_same(np.asarray([[of_image[name] for name in NAMES] for of_image in probabilities]))


def test_an_export_sees_the_pixels_in_files_and_in_images(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Outputs] = {}

    def read(name: str, exporter: Exporter, path: Path, contents: list[bytes], pixels: np.ndarray) -> Outputs:
        seen[name] = exporter.read(str(path), contents, pixels)
        return seen[name]

    monkeypatch.setattr(export_verb, "predict_in_fresh_process", read)
    images = [example.path for example in viewer.examples]
    exports = export_verb.export(viewer.folder, str(tmp_path / "out"), formats=("savedmodel", "keras"), images=images)
    viewer.assert_same(seen["savedmodel"]["probabilities of files"])
    viewer.assert_same(seen["savedmodel"]["probabilities of pixels"])
    viewer.assert_same(seen["keras"]["probabilities of pixels"])
    # Images that are given as arrays become squares in the same way.
    serve = tf.saved_model.load(str(exports[0].path)).signatures["serve_images_uint8"]
    upright = [pillow_pixels(data) for data in PICTURES.values()]
    served = [serve(images=tf.constant(image[None]))["probabilities"].numpy()[0] for image in upright]
    viewer.assert_same(np.stack(served))


@pytest.fixture
def fits_used(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The fits that files are decoded with, wherever that happens."""
    used: set[str] = set()
    whole = decode.decode_resized

    def decode_resized(image_bytes: tf.Tensor, size: int, fit: Fit = "squash") -> tf.Tensor:
        used.add(fit)
        return whole(image_bytes, size, fit)

    batches._loader.cache_clear()
    monkeypatch.setattr(batches, "decode_resized", decode_resized)
    yield used
    batches._loader.cache_clear()


@pytest.mark.parametrize(
    "options",
    [
        {"fine_tune": "1", "epochs": 1, "augment": "light", "views": 2},
        {"cache": False, "epochs": 1},
        {"backbone": "small_cnn", "weights": "none", "epochs": 1},
    ],
    ids=["features and activations", "no cache", "from scratch"],
)
def test_every_stage_of_a_training_and_every_evaluation_of_it_has_its_fit(
    options: dict[str, object], drawn: Path, image_folder: Callable[..., Path], tmp_path: Path, fits_used: set[str]
) -> None:
    data = image_folder("data", per_class=8)
    for path in data.rglob("*.png"):
        image = Image.open(path)
        image.resize((48, 32)).save(path)
    manifest = train(spec_on(drawn, data, tmp_path / "run", fit="crop", **options))
    assert manifest.fit == read_manifest(tmp_path / "run").fit == "crop"
    assert manifest.spec.train is not None and manifest.spec.train.network.fit == "crop"
    score = partial(evaluate.evaluate, str(tmp_path / "run"), str(data))
    exact = [score(cache=False), score(tta="flip")]
    assert score().report.log_loss == pytest.approx(exact[0].report.log_loss, abs=0.02)
    assert fits_used == {"crop"}
