"""The table of methods is light, complete, and what the command line offers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from models.pools import POOLS
from pipelines.ensembles.methods import METHODS
from tests.pipelines.ensembles.drawn import drawn


def test_the_table_is_read_without_numpy() -> None:
    code = "import sys, pipelines.ensembles.methods; assert not {'numpy', 'scipy', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_a_share_to_each_member_and_pools_by_a_pool_there_is(name: str) -> None:
    weights = METHODS[name].weigh(*drawn(4, 80), 0)
    assert weights.shape == (4,)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert METHODS[name].pool in POOLS


def test_equal_weights_do_not_depend_on_the_images() -> None:
    for name in ("mean", "vote", "geometric"):
        np.testing.assert_array_equal(METHODS[name].weigh(*drawn(5, 30, seed=3), 0), np.full(5, 0.2))
