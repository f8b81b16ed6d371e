"""Several devices: copies of models on each of them, and the same training as on one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines.fitting.devices import all_devices, copy_for
from tests.pipelines.fitting.small_network import build_with_frozen_norm

ROOT = Path(__file__).resolve().parents[3]
# Trains on one device and on two halves of the processor, and compares weights and histories.
SCRIPT = """
import tempfile
from pathlib import Path
import numpy as np, tensorflow as tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.pipelines.fitting.small_network import build_with_frozen_norm, fit
from pipelines.runs.stages import Recipe
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
recipe = Recipe(optimizer="adamw", schedule="cosine", clip=0.5, ema=0.5, label_smoothing=0.1)
alone, spread = build_with_frozen_norm(), build_with_frozen_norm()
one_device = fit(alone, Path(tempfile.mkdtemp()), recipe=recipe)
two_devices = fit(spread, Path(tempfile.mkdtemp()), recipe=recipe, strategy=strategy)
for weight, expected in zip(spread.get_weights(), alone.get_weights()):
    np.testing.assert_allclose(weight, expected, atol=2e-5)
for record, expected in zip(two_devices.history, one_device.history):
    assert abs(record.loss - expected.loss) < 1e-4, (record, expected)
    assert record.accuracy == expected.accuracy, (record, expected)
print("the same")
"""


def test_two_devices_train_as_one() -> None:
    """In a process of its own: devices are divided before TensorFlow starts."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "the same", done.stderr[-3000:]


def test_one_device_needs_no_strategy_and_no_copy() -> None:
    model = build_with_frozen_norm()
    assert len(tf.config.list_logical_devices("GPU")) > 1 or all_devices() is None
    assert copy_for(None, model) is model


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_copy_has_the_same_weights_and_the_same_frozen_layers(is_frozen: bool) -> None:
    model = build_with_frozen_norm()
    if is_frozen:
        # A configuration does not say so: Keras' own clone would be trained.
        model.trainable = False
    copy = copy_for(tf.distribute.OneDeviceStrategy("CPU:0"), model)
    assert copy is not model
    assert [layer.trainable for layer in copy.layers] == [layer.trainable for layer in model.layers]
    assert len(copy.trainable_variables) == len(model.trainable_variables) == (0 if is_frozen else 5)
    for weight, expected in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
