from __future__ import annotations

import dataclasses
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from models.backbones import build_backbone, load_backbone
from models.errors import UserError
from models.keras_private import DOWNLOAD_FUNCTION
from models.pixel_scaling import scale_pixels
from models.weights import weights_file
from models.zoo import BACKBONES, Backbone
from tests.models.spread import SPREAD, TAIL, every

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RELOAD = """
import os, sys, numpy, keras
assert not any(name.split(".")[0] in ("models", "pipelines", "app") for name in sys.modules)
for name in sys.argv[1:]:
    model, before = keras.models.load_model(f"{name}.keras"), numpy.load(f"{name}.npz")
    assert model.name == "backbone"
    numpy.testing.assert_array_equal(model(before["pixels"]), before["features"], name)
    os.remove(f"{name}.keras")
    keras.backend.clear_session()
print("loaded", len(sys.argv) - 1)
"""


def pixels(size: int, count: int = 2) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype("float32")


def kerass_own(backbone: Backbone, size: int) -> Any:
    """Keras' network without top and with its own preprocessing, as a function of pixels, and its model."""
    import keras

    options = {"alpha": backbone.alpha} if "MobileNet" in backbone.constructor else {}
    model = getattr(keras.applications, backbone.constructor)(
        include_top=False, weights=None, input_shape=(size, size, 3), **options
    )
    preprocess = importlib.import_module(backbone.module).preprocess_input
    return model, lambda x: model(preprocess(x.copy()))


@pytest.mark.parametrize(
    "name",
    [
        "vgg16",
        "vgg19",
        "resnet50",
        "resnet50_v2",
        "inception_v3",
        "inception_resnet_v2",
        "xception",
        "mobilenet",
        "mobilenet_v2",
        "densenet121",
        "nasnet_mobile",
    ],
)
def test_scaling_is_preprocess_input(name: str) -> None:
    import keras

    backbone = BACKBONES[name]
    inputs = keras.Input((None, None, 3))
    scaled = keras.Model(inputs, scale_pixels(inputs, backbone.scaling))(pixels(20))
    wanted = importlib.import_module(backbone.module).preprocess_input(pixels(20).copy())
    np.testing.assert_allclose(scaled, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_scaling_stays_in_float32_when_the_rest_is_in_half_precision() -> None:
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for name in ("resnet50", "densenet121", "mobilenet_0.25", "lenet5"):
            model = build_backbone(BACKBONES[name], weights="none", image_size=32)
            assert model.get_layer("scaling").compute_dtype == "float32"
            assert keras.backend.standardize_dtype(model.output.dtype) == "bfloat16"
            assert np.isfinite(np.asarray(model(pixels(32)), "float32")).all()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "name", every(("resnet50", "mobilenet_v3_small", "efficientnet_v2_b0", "convnext_tiny"), pretrained_only=True)
)
def test_features_are_those_of_keras_with_its_own_preprocessing(name: str) -> None:
    backbone = BACKBONES[name]
    if backbone.scaling == "inside":
        pytest.skip("Keras completes this scaling only with pretrained weights: tested below")
    size = max(64, backbone.family.min_size)
    theirs, reference = kerass_own(backbone, size)
    ours = build_backbone(backbone, weights="none", image_size=size)
    assert (ours.name, ours.output_shape, ours.input_shape) == ("backbone", theirs.output_shape, (None, size, size, 3))
    ours.set_weights(theirs.get_weights())
    wanted = np.asarray(reference(pixels(size)))
    np.testing.assert_allclose(ours(pixels(size)), wanted, rtol=0, atol=1e-5 * max(1, np.abs(wanted).max()))


def test_efficientnet_scales_alike_whether_keras_or_a_file_brings_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    backbone = BACKBONES["efficientnet_b0"]
    published, _ = kerass_own(backbone, 64)
    norm = published.get_layer(index=2)
    assert isinstance(norm, keras.layers.Normalization)
    # What lies in the published file: the deviation where the layer expects the variance.
    norm.adapt_mean.assign(np.reshape(IMAGENET_MEAN, norm.adapt_mean.shape))
    norm.adapt_variance.assign(np.reshape(IMAGENET_DEVIATION, norm.adapt_variance.shape))
    file = tmp_path / "published.weights.h5"
    published.save_weights(file)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(DOWNLOAD_FUNCTION, lambda *arguments, **options: str(file))

    by_keras = build_backbone(backbone, weights="imagenet", image_size=64)
    by_file = build_backbone(backbone, weights=file, image_size=64)
    assert len(by_keras.layers) == len(by_file.layers) + 1  # Keras' extra Rescaling
    for model in (by_keras, by_file):
        scaled = keras.Model(model.inputs[0], model.get_layer("stem_conv_pad").input)(pixels(64))
        wanted = (pixels(64) / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
        np.testing.assert_allclose(scaled, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_allclose(by_file(pixels(64)), by_keras(pixels(64)), rtol=0, atol=1e-5)


def test_efficientnet_trained_with_other_scaling_keeps_it(tmp_path: Path) -> None:
    own, reference = kerass_own(BACKBONES["efficientnet_b0"], 64)
    own.save_weights(tmp_path / "own.weights.h5")
    model = build_backbone(BACKBONES["efficientnet_b0"], weights=tmp_path / "own.weights.h5", image_size=64)
    np.testing.assert_allclose(model(pixels(64)), reference(pixels(64)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("names", [SPREAD, pytest.param(TAIL, marks=pytest.mark.slow)], ids=["spread", "tail"])
def test_all_reload_in_a_fresh_process_without_headstart(names: tuple[str, ...], tmp_path: Path) -> None:
    import keras

    for name in names:
        size = max(48, BACKBONES[name].family.min_size)
        model = build_backbone(BACKBONES[name], weights="none", image_size=size)
        assert model.input_shape == (None, size, size, 3)
        assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
        features = np.asarray(model(pixels(size)))
        assert features.std() > 0
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", pixels=pixels(size), features=features)
        del model
        keras.backend.clear_session()
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", RELOAD, *names], cwd=tmp_path, env=plain, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == f"loaded {len(names)}\n", done.stderr[-2000:]


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "mobilenet_0.25"])
def test_pretrained_weights_without_chatter(name: str, keras_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import keras

    backbone = BACKBONES[name]
    model = build_backbone(backbone, image_size=100)  # a size for which Keras warns
    reference, _ = kerass_own(backbone, 100)
    reference.load_weights(weights_file(backbone))
    for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert keras.config.is_interactive_logging_enabled()
    assert capfd.readouterr() == ("", "")


def test_read_only_cache_is_used(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: access(path, mode) and not str(path).startswith(str(keras_home))
    )
    model = build_backbone(BACKBONES["mobilenet_0.25"], image_size=64)
    assert model.count_params() == BACKBONES["mobilenet_0.25"].base_parameters


def test_failed_download_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> str:
        raise Exception("URL fetch failure on https://host/file: None -- Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(DOWNLOAD_FUNCTION, fail)
    with pytest.raises(UserError, match="the download failed: URL fetch failure on https://host/file") as caught:
        build_backbone(BACKBONES["mobilenet_0.25"])
    for way_out in ("--weights none", "--weights FILE", "KERAS_HOME"):
        assert way_out in caught.value.hint


def test_damaged_cached_weights_are_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = weights_file(BACKBONES["mobilenet_0.25"])
    file.parent.mkdir(parents=True)
    with h5py.File(file, "w") as whole:  # one that is cut short is not cached: it is downloaded again
        whole.create_group("another_network")
    with pytest.raises(UserError, match=f"`{file}` does not fit"):
        build_backbone(BACKBONES["mobilenet_0.25"])


@pytest.mark.parametrize("name", ["vgg16", "inception_v3", "xception", "alexnet", "lenet5"])
def test_too_small_images_are_a_user_error(name: str) -> None:
    smallest = BACKBONES[name].family.min_size
    with pytest.raises(UserError, match=f"`{name}` takes images of {smallest} pixels or more, not {smallest - 1}"):
        build_backbone(BACKBONES[name], weights="none", image_size=smallest - 1)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_own_weights(suffix: str, tmp_path: Path) -> None:
    backbone = BACKBONES["mobilenet_v2_0.35"]
    trained = build_backbone(backbone, weights="none", image_size=64)
    file = tmp_path / f"mine{suffix}"
    (trained.save if suffix == ".keras" else trained.save_weights)(file)
    again = build_backbone(backbone, weights=file, image_size=32)
    for ours, theirs in zip(again.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_a_whole_keras_file_are_taken_without_its_top(tmp_path: Path) -> None:
    import keras

    whole = keras.applications.MobileNetV2(alpha=0.35, weights=None, input_shape=(32, 32, 3), classes=7)
    whole.save(tmp_path / "whole.keras")
    ours = build_backbone(BACKBONES["mobilenet_v2_0.35"], weights=tmp_path / "whole.keras", image_size=32)
    for mine, theirs in zip(ours.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_weights_that_do_not_fit_are_a_user_error(suffix: str, tmp_path: Path) -> None:
    import keras

    other = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(3, 3), keras.layers.Flatten()])
    file = tmp_path / f"other{suffix}"
    if suffix == ".h5":
        file.write_bytes(b"no weights at all")
    else:
        (other.save if suffix == ".keras" else other.save_weights)(file)
    with pytest.raises(UserError) as caught:
        build_backbone(BACKBONES["mobilenet_v2_0.35"], weights=file, image_size=32)
    assert f"`{file}`" in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize("kind", [str, Path])
def test_missing_weights_file_is_a_user_error(kind: type[str] | type[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.h5` does not exist"):
        build_backbone(BACKBONES["mobilenet_v2_0.35"], weights=kind(tmp_path / "nowhere.h5"))


def classifier(*layers: Any, shape: tuple[int | None, ...] = (24, 24, 3)) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *layers])


def test_backbone_of_a_run(tmp_path: Path) -> None:
    from models.classifier import build_classifier
    from models.heads import HEADS, build_head

    inner = build_backbone(BACKBONES["small_cnn"], weights="none")
    head = build_head(HEADS["mlp"], num_features=128, num_classes=4)
    build_classifier(inner, head).save(tmp_path / "model.keras")
    for source in (tmp_path, tmp_path / "model.keras"):
        loaded = load_backbone(source)
        assert (loaded.name, loaded.output_shape) == ("backbone", (None, 4, 4, 128))
        np.testing.assert_array_equal(loaded(pixels(32)), inner(pixels(32)))


def test_backbone_of_a_foreign_file_ends_below_its_last_dense_layer(tmp_path: Path) -> None:
    from keras import layers

    model = classifier(
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(6, activation="relu", name="hidden"),
        layers.Dropout(0.5),
        layers.Dense(3),
        layers.Softmax(),
    )
    model.save(tmp_path / "mine.keras")
    loaded = load_backbone(tmp_path / "mine.keras")
    assert (loaded.name, loaded.output_shape) == ("backbone", (None, 6))
    reference = pixels(24)
    for layer in model.layers[:4]:
        reference = layer(reference)
    np.testing.assert_allclose(loaded(pixels(24)), reference, atol=1e-6)


def test_backbone_of_a_file_with_a_nested_head(tmp_path: Path) -> None:
    import keras
    from keras import layers

    head = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="hidden"), layers.Dense(2)])
    classifier(layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), head).save(tmp_path / "nested.keras")
    assert load_backbone(tmp_path / "nested.keras").output_shape == (None, 5)


def test_files_that_are_no_backbone_say_why(tmp_path: Path) -> None:
    import keras
    from keras import layers

    file = tmp_path / "bad.keras"

    def flat() -> list[Any]:
        return [layers.Flatten(), layers.Dense(2)]

    inputs = keras.Input((8, 8, 3))
    two = keras.Model(inputs, [layers.Dense(2)(layers.Flatten()(inputs)), layers.GlobalMaxPooling2D()(inputs)])
    cases = {
        "does not end in a Dense layer": classifier(layers.Conv2D(2, 3), layers.GlobalMaxPooling2D(), layers.Softmax()),
        "and not images of shape": classifier(*flat(), shape=(8, 8, 1)),
        "is not a model with one input and one output": two,
        "cannot be loaded": classifier(layers.Lambda(lambda x: x * 2), *flat()),
    }
    for reason, model in cases.items():
        model.save(file)
        with pytest.raises(UserError, match=reason) as caught:
            load_backbone(file)
        assert f"`{file}`" in caught.value.message and "\n" not in caught.value.message
    file.write_text("no model at all")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_backbone(file)
    for missing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="does not exist"):
            load_backbone(missing)


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BACKBONES["vgg16"].image_size = 1  # type: ignore[misc]
