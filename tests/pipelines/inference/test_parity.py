"""An export agrees with its run within rounding, or fails: other probabilities, classes, names, NaN."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import UserError
from models.export import EXPORTERS
from models.machine_errors import FullDisk
from pipelines.inference import parity

NAMES = ("cat", "d\u00f6g")


def test_ties_within_the_tolerance_agree() -> None:
    expected = np.asarray([[0.5, 0.5], [0.9, 0.1]], np.float32)
    near = {"probabilities of pixels": expected + np.asarray([[-3e-5, 3e-5], [0, 0]], np.float32)}
    assert parity.compare_outputs("keras", near, expected, NAMES).top1_agreement == 1.0
    # The most probable class differs, but the two are equal within the tolerance.
    close = np.asarray([[0.50002, 0.49998], [0.9, 0.1]], np.float32)
    assert parity.compare_outputs("keras", near, close, NAMES).top1_agreement == 1.0
    far = {"probabilities of pixels": expected + np.asarray([[-3e-4, 3e-4], [0, 0]], np.float32)}
    with pytest.raises(UserError, match=r"up to 0\.0003"):
        parity.compare_outputs("keras", far, expected, NAMES)
    turned = np.asarray([[0.5, 0.5], [0.1, 0.9]], np.float32)
    with pytest.raises(UserError, match=r"50\.0%"):
        parity.compare_outputs("keras", {"probabilities of pixels": turned}, expected, NAMES)


def test_the_worst_of_all_outputs_counts_and_a_nan_fails() -> None:
    expected = np.asarray([[0.25, 0.75], [0.875, 0.125]], np.float32)
    near = expected + np.asarray([[2e-5, -2e-5], [0, 0]], np.float32)
    agreement = parity.compare_outputs(
        "savedmodel", {"probabilities of files": expected, "probabilities of pixels": near}, expected, NAMES
    )
    assert agreement.max_difference == pytest.approx(2e-5, rel=0.01)
    broken = expected.copy()
    broken[0, 1] = np.nan  # the most probable class stays so for argmax
    for outputs in (
        {"probabilities of files": expected, "probabilities of pixels": broken},
        {"probabilities of files": broken, "probabilities of pixels": expected},
    ):
        with pytest.raises(UserError, match="differs from its run"):
            parity.compare_outputs("savedmodel", outputs, expected, NAMES)


@pytest.mark.parametrize(
    ("classes", "ids", "agrees"),
    [
        (["d\u00f6g", "cat"], [1, 0], True),
        (["cat", "cat"], [1, 0], False),
        (["d\u00f6g", "cat"], [0, 0], False),
    ],
)
def test_names_and_indices_of_the_classes_must_be_those_of_the_probabilities(
    classes: list[str], ids: list[int], agrees: bool
) -> None:
    expected = np.asarray([[0.25, 0.75], [0.875, 0.125]], np.float32)
    outputs = {
        "probabilities of files": expected,
        "classes of files": np.asarray([name.encode() for name in classes]),
        "class ids of files": np.asarray(ids),
    }
    if agrees:
        parity.compare_outputs("savedmodel", outputs, expected, NAMES)
    else:
        with pytest.raises(UserError) as caught:
            parity.compare_outputs("savedmodel", outputs, expected, NAMES)
        assert caught.value.exit_code == 3


def test_the_fresh_process_gives_the_outputs_of_the_export(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(inputs)))
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).uniform(0, 5, (3, 4, 4, 3)).astype(np.float32)
    outputs = parity.predict_in_fresh_process(
        "keras", EXPORTERS["keras"], tmp_path / "model.keras", [b"not read"], pixels
    )
    powers = np.exp(pixels.mean((1, 2)))
    expected = powers / powers.sum(1, keepdims=True)
    assert list(outputs) == ["probabilities of pixels"]
    np.testing.assert_allclose(outputs["probabilities of pixels"], expected, rtol=1e-5)
    np.testing.assert_allclose(parity.predict_on_cpu(model, pixels), expected, rtol=1e-5)


READER = """
from pathlib import Path

def read(path, contents, pixels):
    Path("/dev/full").write_bytes(b"x")  # answers every write as a full disk does
"""


def test_a_full_disk_is_not_a_fault_of_the_export(tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(READER)
    spec = importlib.util.spec_from_file_location("reader", tmp_path / "reader.py")
    assert spec is not None and spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    exporter = replace(EXPORTERS["keras"], read=reader.read)
    with pytest.raises(FullDisk) as caught:
        parity.predict_in_fresh_process("keras", exporter, tmp_path, [], np.zeros((1, 4, 4, 3), np.float32))
    assert caught.value.exit_code == 1
