"""Initial weights have the deviations that their papers give, and those of a seed are the same again."""

from __future__ import annotations

import math
from typing import get_args

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.bank_network import build_network
from models.conv_backbone import conv_backbone
from models.conv_network import ConvNetwork
from models.heads import HEADS, Candidate, Head, build_head
from models.initialisation import Init, initialise
from pipelines.runs import spec

# Fan in and fan out of a 5 x 5 kernel from 40 to 60 maps.
IN, OUT = 25 * 40, 25 * 60
# Glorot and Bengio (2010), equation 16; He et al. (2015), equation 10; a uniform one within r has r / sqrt(3).
DEVIATIONS: dict[Init, float] = {
    "gaussian": 0.01,
    "glorot_normal": math.sqrt(2 / (IN + OUT)),
    "glorot_uniform": math.sqrt(6 / (IN + OUT)) / math.sqrt(3),
    "he_normal": math.sqrt(2 / IN),
    "he_uniform": math.sqrt(6 / IN) / math.sqrt(3),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_kernels_have_the_deviation_of_the_paper_and_biases_stay(name: Init) -> None:
    model = build_backbone(conv_backbone(ConvNetwork(filters=(40, 60)), None), weights="none")
    initialise(model, name, seed=3)
    kernel, bias = model.get_layer("block2_conv").get_weights()
    assert kernel.std() == pytest.approx(DEVIATIONS[name], rel=0.03)
    assert abs(kernel.mean()) < 0.03 * DEVIATIONS[name] * 3
    assert not bias.any()
    again = build_backbone(conv_backbone(ConvNetwork(filters=(40, 60)), None), weights="none")
    initialise(again, name, seed=3)
    np.testing.assert_array_equal(again.get_layer("block2_conv").get_weights()[0], kernel)
    initialise(again, name, seed=4)
    assert not np.array_equal(again.get_layer("block2_conv").get_weights()[0], kernel)


def test_orthogonal_columns_and_layers_of_their_own() -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dense(8)])
    initialise(model, "orthogonal", seed=0)
    first, second = model.layers[0].get_weights()[0], model.layers[1].get_weights()[0]
    np.testing.assert_allclose(first.T @ first, np.eye(8), atol=1e-5)
    assert not np.allclose(first, second)


def test_a_head_starts_from_the_distribution_that_it_names() -> None:
    head = Head(name="mlp", hidden=400, batch_norm=True, dropout=0.0, about="", init="gaussian")
    alone = build_head(head, num_features=300, num_classes=5, seed=1)
    assert alone.get_layer("hidden").get_weights()[0].std() == pytest.approx(0.01, rel=0.03)
    bank = build_network(head, [Candidate(l2=0, learning_rate=1, dropout=0, seed=1)], 300, 5)
    assert np.asarray(bank.get_layer("hidden").kernel).std() == pytest.approx(0.01, rel=0.03)
    assert HEADS["mlp"].init is None


def test_the_names_are_those_that_a_record_knows() -> None:
    assert get_args(Init) == get_args(spec.Init) == (*DEVIATIONS, "orthogonal")
