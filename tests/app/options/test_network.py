"""The network and its head on the command line: ranges, choices, and defaults that the help states."""

from __future__ import annotations

from typing import get_args

import pytest

from app.options.network import DEFAULT_BACKBONE, DEFAULT_HEAD
from models import heads
from models.engines.table import ENGINES
from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.runs import spec
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import TrainSpec
from pipelines.runs.square import Fit
from tests.app.options.conftest import Train, assert_range


@pytest.mark.parametrize(
    ("flag", "field", "inside", "outside"),
    [
        ("--image-size", "image_size", (16, 2048), (15, 2049, "many")),
        ("--hidden", "hidden", (1, 65_536), (0, -1, 1.5, 65_537)),
        ("--dropout", "dropout", (0.0, 0.95), (-0.01, 0.96, "nan")),
        ("--l2", "l2", (0.0, 1000.0), (-1e-9, "inf", "nan")),
        ("--heads", "heads", (1, 1024), (0, 1025)),
    ],
)
def test_a_number_is_taken_up_to_the_edges_of_its_range(
    train: Train, flag: str, field: str, inside: tuple[float, ...], outside: tuple[object, ...]
) -> None:
    def read(spec: TrainSpec | None) -> object:
        assert isinstance(spec, TrainSpec)
        return getattr(spec.network if field == "image_size" else spec.head, field)

    assert_range(train, flag, inside, outside, read)


def test_a_choice_of_pooling_is_one_that_a_head_and_a_record_know(train: Train) -> None:
    assert get_args(heads.Pooling) == get_args(spec.Pooling) == ("avg", "max", "flatten", "fc6", "fc7")
    assert train("--pooling", "median") is None


def test_a_choice_of_features_is_one_that_a_record_knows(train: Train) -> None:
    assert get_args(spec.FeatureSet) == ("auto", *get_args(FeatureLayers)) == ("auto", "last", "levels")
    assert train("--features", "first") is None


def test_a_fit_is_one_that_the_decoding_knows(train: Train, page: str) -> None:
    assert get_args(Fit) == ("squash", "crop", "pad")
    assert train("--fit", "stretch") is None
    asked = train("--fit", "pad")
    assert isinstance(asked, TrainSpec)
    assert asked.network.fit == "pad"
    # The colour of the border is said where it is chosen.
    assert "--fit squash|crop|pad" in page and "on mid-grey. [default: that of a run in --backbone; squash]" in page


def test_several_backbones_and_heads_make_an_ensemble_in_the_order_of_the_flags(train: Train) -> None:
    asked = train("--backbone", "vgg16", "--head", "mlp", "--backbone", "alexnet", "--head", "linear")
    assert isinstance(asked, MembersSpec)
    assert (asked.backbones, asked.heads) == (("vgg16", "alexnet"), ("mlp", "linear"))
    assert (asked.common.network.backbone, asked.common.head.name) == ("vgg16", "mlp")
    assert isinstance(train("--backbone", "vgg16", "--head", "mlp"), TrainSpec)


def test_the_defaults_are_entries_of_the_tables_and_on_the_page(page: str) -> None:
    assert DEFAULT_BACKBONE in BACKBONES and DEFAULT_HEAD in HEADS
    assert f"several make an ensemble. [default: {DEFAULT_BACKBONE}]" in page
    assert f"several make an ensemble. [default: {DEFAULT_HEAD}]" in page


def test_the_page_lists_the_heads_and_engines_that_there_are(page: str) -> None:
    assert f"--head {'|'.join(HEADS)} " in page
    assert f"--engine auto|{'|'.join(ENGINES)} " in page


def test_the_units_that_the_page_promises_are_those_of_the_mlp_head(page: str) -> None:
    head = heads.build_head(HEADS["mlp"], num_features=4, num_classes=2)
    assert head.get_layer("hidden").units == 256
    assert "mlp head's hidden layer. [default: 256; 1 to 65536]" in page
