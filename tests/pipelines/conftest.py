"""Runs that the tests of verbs, trainings and members stand on, trained once for each worker of pytest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.train import train
from tests.conftest import draw
from tests.specs import train_spec

CLASSES = ("circle", "square", "triangle")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data`, 40 drawn pictures a class, and two runs of small networks trained on them from scratch.

    `one` has learned the classes, `two` hardly.
    """
    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(1)
    for index, name in enumerate(CLASSES):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(40):
            draw(index, 32, rng).save(folder / "data" / name / f"{number:02d}.png")
    for name, epochs, learning_rate, seed in (("one", 8, 3e-3, 0), ("two", 2, 1e-3, 2)):
        train(
            train_spec(
                data=str(folder / "data"),
                out=str(folder / name),
                backbone="small_cnn",
                weights="none",
                epochs=epochs,
                learning_rate=learning_rate,
                seed=seed,
            )
        )
    return folder
