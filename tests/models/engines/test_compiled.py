"""A frozen base gives the features of plain Keras, whichever engine runs it, and takes the fastest."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.backbones import build_backbone
from models.classifier import build_feature_extractor
from models.engines import gpu
from models.engines.compiled import compile_base, compile_chosen
from models.engines.source import TracedBase
from models.engines.table import ENGINES
from models.errors import UserError
from models.zoo import BACKBONES
from tests.models.engines.fake import FakeEngine, Fakes
from tests.models.engines.tiny import pictures, plain, relative_difference, small

# One of each family whose operations differ, at the smallest size it takes.
FAMILIES = {
    "mobilenet_v2": 32,
    "resnet50": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
}
CPU = [(name, precision) for name in ("tensorflow", "openvino") for precision in ENGINES[name].precisions()]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_engine_gives_the_features_of_plain_keras(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = build_feature_extractor(build_backbone(BACKBONES[name], weights="none", image_size=FAMILIES[name]))
    rng = np.random.default_rng(0)
    for weight in model.weights:  # Statistics that a fold without them would miss.
        if weight.name in ("moving_mean", "beta"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.name in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    pixels = pictures(4, FAMILIES[name])
    expected = plain(model, pixels)

    source = TracedBase(model, pixels.shape)
    for engine, precision in CPU:
        run, batch = ENGINES[engine].build(source, precision)
        assert batch == 4
        assert relative_difference(run(pixels), expected) < (1e-4 if precision == "float32" else 2e-2), (
            engine,
            precision,
        )


@pytest.mark.slow
def test_pretrained_features_stay_what_they_are(keras_home: Path, shared: Path) -> None:
    """MobileNetV2 with real weights does not bear bfloat16, unlike with random ones: its features move by a tenth."""
    from PIL import Image

    files = sorted((shared / "data" / "clothing" / "test").rglob("*.jpg"))[::40][:4]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((224, 224)), np.float32) for file in files])
    model = build_feature_extractor(build_backbone(BACKBONES["mobilenet_v2"]))

    base = compile_base(model, pixels, engine="tensorflow", batch=4)

    assert relative_difference(base(pixels), plain(model, pixels)) < 2e-2
    assert base.choice.precision == "float32"
    if "bfloat16" in ENGINES["tensorflow"].precisions():
        assert any("tensorflow bfloat16, whose features differ" in line for line in base.lines)


def test_layer_normalization_and_wide_depthwise_convolutions_keep_their_features() -> None:
    """What ConvNeXt is made of."""
    pixels = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 2, strides=2)(layers.Rescaling(1 / 127.5, offset=-1.0)(pixels))
    y = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(16, 7, padding="same", groups=16)(x))
    y = layers.Dense(16)(layers.Activation("gelu")(layers.Dense(64)(y)))
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.Add()([x, y])))

    for engine, precision in CPU:
        base = compile_base(model, pictures(4), engine=engine, precision=precision, batch=4)
        assert relative_difference(base(pictures(4)), plain(model, pictures(4))) < (
            1e-4 if precision == "float32" else 2e-2
        )


@pytest.mark.parametrize(("engine", "precision"), [("keras", "float32"), *CPU])
def test_features_do_not_depend_on_the_other_images_of_a_batch(engine: str, precision: str) -> None:
    base = compile_base(small(), pictures(4), engine=engine, precision=precision, batch=4)
    pixels = pictures(11)

    together = base(pixels)

    assert together.dtype == np.float32
    assert together.shape == (11, 8)
    assert np.array_equal(together[::-1], base(pixels[::-1]))
    # Threads that share the work otherwise on a busy machine may round otherwise.
    alone = np.concatenate([base(pixels[at : at + 1]) for at in range(11)])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


def test_bytes_and_no_images_at_all_are_taken() -> None:
    base = compile_base(small(), pictures(4), engine="tensorflow", batch=4)
    whole = pictures(3).astype(np.uint8)

    assert np.array_equal(base(whole), base(whole.astype(np.float32)))
    assert base(whole[:0]).shape == (0, 8)


def test_an_unknown_engine_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown engine: `tensorflw`") as caught:
        compile_base(small(), pictures(1), engine="tensorflw")

    assert "`tensorflow`" in caught.value.hint


def test_an_engine_that_is_not_installed_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UserError, match="`openvino` is not installed") as caught:
        compile_base(small(), pictures(1), engine="openvino")
    chosen = compile_base(small(), pictures(2), batch=2)

    assert "pip install openvino" in caught.value.hint
    assert any("`openvino` is not installed" in line for line in chosen.lines)


def test_a_precision_that_the_machine_has_not_is_an_error() -> None:
    with pytest.raises(UserError, match="offers no float16"):
        compile_base(small(), pictures(1), engine="tensorflow", precision="float16")


def test_the_gpu_engine_without_a_gpu_says_so() -> None:
    if gpu.precisions():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU"):
        compile_base(small(), pictures(1), engine="gpu")


def test_auto_takes_the_fastest(fake_engines: Fakes) -> None:
    fake_engines(slow=FakeEngine(seconds=0.4), fast=FakeEngine(seconds=0.02), middling=FakeEngine(seconds=0.1))

    base = compile_base(small(), pictures(2), batch=2)

    assert (base.choice.engine, base.choice.precision) == ("fast", "bfloat16")
    assert set(base.choice.report.images_per_second) == {
        "keras/float32",
        "slow/bfloat16",
        "fast/bfloat16",
        "middling/bfloat16",
    }
    assert base.lines[0].startswith("engine: fast bfloat16, ")


def test_auto_stays_with_keras_where_nothing_is_faster(fake_engines: Fakes) -> None:
    fake_engines(slow=FakeEngine(seconds=0.4))

    assert compile_base(small(), pictures(2), batch=2).choice.engine == "keras"


def test_an_engine_asked_for_that_gives_other_features_is_an_error(fake_engines: Fakes) -> None:
    fake_engines(wrong=FakeEngine(factor=1.03))

    with pytest.raises(UserError, match=r"features differ by 3\.0e-02"):
        compile_base(small(), pictures(2), engine="wrong", batch=2)


def test_what_was_chosen_before_is_built_without_plain_keras(fake_engines: Fakes) -> None:
    fakes = fake_engines(fast=FakeEngine(seconds=0.01))
    model = small()
    first = compile_base(model, pictures(2), batch=2)
    keras_built, fast_built = fakes["keras"].built, fakes["fast"].built

    again = compile_chosen(model, pictures(2), first.choice, batch=2)

    assert again.choice == first.choice
    assert (fakes["keras"].built, fakes["fast"].built) == (keras_built, fast_built + 1)
    assert relative_difference(again(pictures(3)), plain(model, pictures(3))) < 1e-5
