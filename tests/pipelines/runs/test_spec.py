"""Options of a training: what holds where the user leaves one open, and what a request of several members is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import FitSpec
from tests.specs import train_spec


def test_the_optimizer_is_adam_and_a_batch_has_32_images_unless_given() -> None:
    assert (FitSpec().rule, FitSpec().batch_size) == ("adam", 32)
    given = FitSpec(optimizer="sgd", batch=8)
    assert (given.rule, given.batch_size) == ("sgd", 8)


@pytest.mark.parametrize(
    ("options", "is_single"),
    [
        ({}, True),
        ({"backbones": ("vgg16", "resnet50")}, False),
        ({"heads": ("linear", "mlp")}, False),
        ({"seeds": 2}, False),
        ({"folds": 2}, False),
        ({"bag": True}, False),
        ({"method": "vote"}, True),
    ],
)
def test_one_training_without_folds_and_bag_is_not_an_ensemble(options: dict[str, object], is_single: bool) -> None:
    values = {"common": train_spec(), "backbones": ("vgg16",), "heads": ("linear",), **options}
    assert MembersSpec(**values).is_single is is_single  # type: ignore[arg-type]  # values of many types


def test_options_and_manifests_need_no_numpy() -> None:
    code = "import sys, pipelines.runs.manifest; assert not {'numpy', 'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
