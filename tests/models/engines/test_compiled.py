"""A frozen base gives the features of plain Keras, whichever engine runs it, and takes the fastest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from models import machine
from models.backbones import build_backbone
from models.classifier import features_model
from models.engines import compiled as frozen
from models.engines import gpu
from models.engines import race as race_module
from models.engines import table as engines
from models.engines.compiled import compile_base, compile_chosen
from models.engines.source import TracedBase
from models.engines.table import ENGINES, Engine
from models.errors import UserError
from models.zoo import BACKBONES
from tests.models.engines.test_folding import randomize

Floats = NDArray[np.float32]
# One of each family whose operations differ, at the smallest size it takes.
FAMILIES = {
    "mobilenet_v2": 32,
    "resnet50": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
}
CPU = [(name, precision) for name in ("tensorflow", "openvino") for precision in ENGINES[name].precisions()]


def small(*, scale: float = 1 / 127.5) -> keras.Model:
    pixels = keras.Input((16, 16, 3))
    x = layers.Rescaling(scale, offset=-1.0)(pixels)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x))
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(layers.Activation("relu")(x)))
    randomize(model)
    return model


def pictures(count: int, size: int = 16) -> Floats:
    return np.random.default_rng(3).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def plain(model: keras.Model, pixels: Floats) -> Floats:
    return np.asarray(model(pixels, training=False), np.float32)


def relative_difference(features: Floats, reference: Floats) -> float:
    return float(np.linalg.norm(features - reference) / np.linalg.norm(reference))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_engine_gives_the_features_of_plain_keras(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = features_model(build_backbone(BACKBONES[name], weights="none", image_size=FAMILIES[name]))
    rng = np.random.default_rng(0)
    for weight in model.weights:  # Statistics that a fold without them would miss.
        if weight.name in ("moving_mean", "beta"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.name in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    pixels = pictures(4, FAMILIES[name])
    right = plain(model, pixels)

    source = TracedBase(model, pixels.shape)
    for engine, precision in CPU:
        run, batch = ENGINES[engine].build(source, precision)
        assert batch == 4
        assert relative_difference(run(pixels), right) < (1e-4 if precision == "float32" else 2e-2), (engine, precision)


@pytest.mark.slow
def test_pretrained_features_stay_what_they_are(keras_home: Path, shared: Path) -> None:
    """MobileNetV2 with real weights does not bear bfloat16, unlike with random ones: its features move by a tenth."""
    from PIL import Image

    files = sorted((shared / "data" / "clothing" / "test").rglob("*.jpg"))[::40][:4]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize((224, 224)), np.float32) for file in files])
    model = features_model(build_backbone(BACKBONES["mobilenet_v2"]))

    base = compile_base(model, pixels, engine="tensorflow", batch=4)

    assert relative_difference(base(pixels), plain(model, pixels)) < 2e-2
    assert base.choice.precision == "float32"
    if "bfloat16" in ENGINES["tensorflow"].precisions():
        assert any("tensorflow bfloat16, whose features differ" in line for line in base.lines)


def test_layer_normalization_and_wide_depthwise_convolutions_stay_right() -> None:
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
    assert np.array_equal(np.concatenate([base(pixels[at : at + 1]) for at in range(11)]), together)


def test_bytes_and_no_images_at_all_are_taken() -> None:
    base = compile_base(small(), pictures(4), engine="tensorflow", batch=4)
    whole = pictures(3).astype(np.uint8)

    assert np.array_equal(base(whole), base(whole.astype(np.float32)))
    assert base(whole[:0]).shape == (0, 8)


def test_an_unknown_engine_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown engine: `tensorflw`") as caught:
        compile_base(small(), pictures(1), engine="tensorflw")

    assert "`tensorflow`" in caught.value.hint


def test_an_engine_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UserError, match="`openvino` is not installed") as caught:
        compile_base(small(), pictures(1), engine="openvino")
    chosen = compile_base(small(), pictures(2), batch=2)

    assert "headstart[openvino]" in caught.value.hint
    assert any("`openvino` is not installed" in line for line in chosen.lines)


def test_a_precision_that_the_machine_has_not_is_an_error() -> None:
    with pytest.raises(UserError, match="offers no float16"):
        compile_base(small(), pictures(1), engine="tensorflow", precision="float16")


def test_the_gpu_engine_without_a_gpu_says_so() -> None:
    if gpu.precisions():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU"):
        compile_base(small(), pictures(1), engine="gpu")


@pytest.mark.parametrize(
    ("flags", "able"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16 amx_tile", True), ("fpu avx2 avx512f", False), (None, False)],
)
def test_bfloat16_is_offered_only_where_the_processor_says_so(
    flags: str | None, able: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "cpuinfo"
    if flags is not None:
        told.write_text(f"processor\t: 0\nmodel name\t: Some Processor\nflags\t\t: {flags}\n", encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", told)

    assert ("bfloat16" in ENGINES["tensorflow"].precisions()) == able
    assert bool(machine.processor())


class Fake:
    """An engine whose speed, error and features are what the test says."""

    def __init__(self, *, seconds: float = 0.0, factor: float = 1.0, hope: float = 99.0, fails: bool = False) -> None:
        self.seconds, self.factor, self.hope, self.fails = seconds, factor, hope, fails
        self.built = 0

    def entry(self) -> Engine:
        return replace(
            ENGINES["keras"], build=self.build, precisions=lambda: ("bfloat16",), hope={"bfloat16": self.hope}, cost=2.0
        )

    def build(self, source: Any, precision: str) -> tuple[Callable[[Floats], Floats], int]:
        self.built += 1
        if self.fails:
            raise RuntimeError("no such operation: `Twirl`.\nmore")

        def run(pixels: Floats) -> Floats:
            time.sleep(self.seconds)
            return plain(source.model, pixels) * np.float32(self.factor)

        return run, source.shape[0]


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Fake]]:
    """Replace the engines by a `keras` that takes 0.2 s a batch and the fakes given."""

    def make(**fakes: Fake) -> dict[str, Fake]:
        everything = {"keras": Fake(seconds=0.2, hope=1.0), **fakes}
        table = {name: fake.entry() for name, fake in everything.items()}
        table["keras"] = replace(table["keras"], precisions=lambda: ("float32",), hope={"float32": 1.0})
        for module in (frozen, engines, race_module):
            monkeypatch.setattr(module, "ENGINES", table)
        return everything

    return make


def test_auto_takes_the_fastest(race: Callable[..., dict[str, Fake]]) -> None:
    race(slow=Fake(seconds=0.4), fast=Fake(seconds=0.02), middling=Fake(seconds=0.1))

    base = compile_base(small(), pictures(2), batch=2)

    assert (base.choice.engine, base.choice.precision) == ("fast", "bfloat16")
    assert set(base.choice.report.images_per_second) == {
        "keras/float32",
        "slow/bfloat16",
        "fast/bfloat16",
        "middling/bfloat16",
    }
    assert base.lines[0].startswith("engine: fast bfloat16, ")


def test_auto_stays_with_keras_where_nothing_is_faster(race: Callable[..., dict[str, Fake]]) -> None:
    race(slow=Fake(seconds=0.4))

    assert compile_base(small(), pictures(2), batch=2).choice.engine == "keras"


def test_auto_drops_what_gives_other_features_or_fails(race: Callable[..., dict[str, Fake]]) -> None:
    race(wrong=Fake(factor=1.03), broken=Fake(fails=True), nothing=Fake(factor=float("nan")), close=Fake(factor=1.01))

    base = compile_base(small(), pictures(2), batch=2)

    assert base.choice.engine == "close"
    assert any("wrong bfloat16, whose features differ by 3.0e-02" in line for line in base.lines)
    assert any("nothing bfloat16, whose features differ by nan" in line for line in base.lines)
    assert any(line.endswith("broken bfloat16 fails: no such operation: `Twirl`") for line in base.lines)
    assert 0.009 < base.choice.report.relative_difference["close/bfloat16"] < 0.011


def test_an_engine_asked_for_that_gives_other_features_is_an_error(race: Callable[..., dict[str, Fake]]) -> None:
    race(wrong=Fake(factor=1.03))

    with pytest.raises(UserError, match=r"features differ by 3\.0e-02"):
        compile_base(small(), pictures(2), engine="wrong", batch=2)


def test_few_images_are_not_worth_building_an_engine_for(race: Callable[..., dict[str, Fake]]) -> None:
    fast = race(fast=Fake(seconds=0.01))["fast"]

    few = compile_base(small(), pictures(2), batch=2, num_images=2)
    assert (few.choice.engine, fast.built) == ("keras", 0)
    assert any("not tried for 2 images: fast bfloat16" in line for line in few.lines)

    assert compile_base(small(), pictures(2), batch=2, num_images=100_000).choice.engine == "fast"


def test_a_precision_in_which_features_moved_far_is_not_tried_again(race: Callable[..., dict[str, Fake]]) -> None:
    fakes = race(far=Fake(factor=1.1), second=Fake(), near=Fake(factor=1.03))

    base = compile_base(small(), pictures(2), batch=2)

    assert base.choice.engine == "keras"
    assert fakes["second"].built == fakes["near"].built == 0
    assert any("not tried: second bfloat16, in which the features moved" in line for line in base.lines)


def test_what_cannot_be_faster_is_not_built(race: Callable[..., dict[str, Fake]]) -> None:
    tame = race(fast=Fake(seconds=0.01), tame=Fake(hope=2.0))["tame"]

    assert compile_base(small(), pictures(2), batch=2).choice.engine == "fast"
    assert tame.built == 0


def test_what_was_chosen_before_is_built_without_plain_keras(race: Callable[..., dict[str, Fake]]) -> None:
    fakes = race(fast=Fake(seconds=0.01))
    model = small()
    first = compile_base(model, pictures(2), batch=2)
    keras_built, fast_built = fakes["keras"].built, fakes["fast"].built

    again = compile_chosen(model, pictures(2), first.choice, batch=2)

    assert again.choice == first.choice
    assert (fakes["keras"].built, fakes["fast"].built) == (keras_built, fast_built + 1)
    assert relative_difference(again(pictures(3)), plain(model, pictures(3))) < 1e-5
