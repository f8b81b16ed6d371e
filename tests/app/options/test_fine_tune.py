"""Fine-tuning on the command line: ranges up to their edges, and an option that is left out asks for nothing."""

from __future__ import annotations

import pytest

from pipelines.runs.spec import TrainSpec
from tests.app.options.conftest import Train, assert_range
from tests.app.test_main import Headstart


@pytest.mark.parametrize(
    ("flag", "field", "inside", "outside"),
    [
        ("--layer-decay", "layer_decay", (0.01, 1.0), (0, 1.01, "nan")),
        ("--warm-up", "warm_up", (0.0, 100.0), (-0.1, 100.1, "inf")),
        ("--clip", "clip", (0.0, 1000.0), (-0.1, "inf", "nan")),
        ("--label-smoothing", "label_smoothing", (0.0, 0.9), (-0.1, 0.91)),
        ("--ema", "ema", (0.0, 0.9999), (-0.1, 1.0, "nan")),
    ],
)
def test_a_number_is_taken_up_to_the_edges_of_its_range(
    train: Train, flag: str, field: str, inside: tuple[float, ...], outside: tuple[object, ...]
) -> None:
    def read(spec: TrainSpec | None) -> object:
        assert isinstance(spec, TrainSpec)
        return getattr(spec.fine_tune, field)

    assert_range(train, flag, inside, outside, read)


@pytest.mark.parametrize("blocks", ["1", "conv5_block3", "all"])
def test_blocks_are_a_number_a_name_or_all_of_them_and_stay_text(train: Train, blocks: str) -> None:
    asked = train("--fine-tune", blocks)
    assert isinstance(asked, TrainSpec) and asked.fine_tune.blocks == blocks


def test_without_a_flag_the_backbone_stays_frozen_and_nothing_is_written_or_averaged(train: Train) -> None:
    asked = train()
    assert isinstance(asked, TrainSpec)
    fine_tune = asked.fine_tune
    assert fine_tune.blocks is None and fine_tune.ema == fine_tune.label_smoothing == 0
    assert not (fine_tune.train_bn or fine_tune.tensorboard or fine_tune.layerwise)


def test_the_options_stand_under_a_heading_of_their_own(headstart: Headstart) -> None:
    section = headstart("train", "--help-all").out.partition("\nFine-tuning:\n")[2].partition("\n\n")[0]
    flags = [word for word in section.split() if word.startswith("--")]
    assert flags == [
        *("--fine-tune", "--layer-decay", "--warm-up", "--clip", "--label-smoothing", "--ema"),
        *("--train-bn", "--tensorboard", "--layerwise"),
    ]
