"""Half precision in training: which layers compute in it, and that nothing of it stays."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from keras import layers

from models.precision import Precision, best_precision, computing_in


def network() -> keras.Model:
    inner = keras.Sequential([layers.Input((4,)), layers.Dense(3, name="inner")], name="nested")
    pixels = keras.Input((4,), name="pixels")
    x = inner(layers.Rescaling(1 / 255, name="scaling")(pixels))
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="head")(x))


def compute_types(model: keras.Model) -> dict[str, str]:
    listed = [*model.layers, *model.get_layer("nested").layers]
    return {layer.name: layer.compute_dtype for layer in listed}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_layers_compute_in_half_precision_except_scaling_and_softmax(precision: Precision) -> None:
    model = network()
    before = compute_types(model)
    with computing_in(precision, model):
        types = compute_types(model)
        assert {weight.dtype for weight in model.weights} == {"float32"}
    assert types["inner"] == precision
    assert types["scaling"] == types["head"] == "float32"
    assert compute_types(model) == before


def test_the_precision_is_restored_after_an_error() -> None:
    model = network()
    with pytest.raises(RuntimeError), computing_in("bfloat16", model):
        raise RuntimeError
    assert set(compute_types(model).values()) == {"float32"}


def test_float32_changes_nothing() -> None:
    model = network()
    with computing_in("float32", model):
        assert set(compute_types(model).values()) == {"float32"}


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "float32"), ((7, 0), "float16"), ((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")],
)
def test_a_gpu_trains_in_what_its_tensor_cores_compute(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    assert best_precision() == precision


def test_a_cpu_trains_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert best_precision() == "float32"
