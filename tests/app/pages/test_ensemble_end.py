"""The end of an ensemble: scores of each class, what they stand on, and which of them are chance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.console import Terminal
from app.pages.ensemble import show
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.manifest import RunRequest
from pipelines.runs.spec import DataSpec, TrainSpec
from tests.app.pages.samples import sample_report
from tests.app.pages.test_ensemble import board
from tests.pipelines.manifests import MANIFEST, manifest_with


def test_the_end_has_the_scores_of_each_class_what_they_stand_on_and_which_are_chance(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = manifest_with(
        leaderboard=board(2),
        metrics={"validation": sample_report(["cat", "dog"], 60), "test": sample_report(["cat", "dog"], 40)},
    )
    show(Terminal(), manifest, "runs/all")
    err = capsys.readouterr().err
    text = " ".join(err.split())
    assert "each class, test:" in text
    assert [line.split()[-1] for line in err.splitlines() if line.startswith(("cat ", "dog "))] == ["20", "20"]
    assert (
        "validation, 60 images: each predicted by members that were not fitted to it; the weights were fitted" in text
    )
    assert "test, 40 images: they chose nothing" in text
    assert "warning" not in text


@pytest.mark.parametrize(
    ("folds", "remedy"), [(0, "--folds 5 judges every image that is not a test image"), (5, "add images of them")]
)
def test_an_ensemble_whose_classes_have_few_judged_images_says_what_to_do(
    folds: int, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = sample_report(["cat", "dog"], 14)  # seven of each
    judged = {"cat": 7, "dog": 7}
    train: dict[str, int] = {"cat": 0 if folds else 30, "dog": 0 if folds else 30}
    common = TrainSpec(data=DataSpec(path="photos"), out="runs/all")
    manifest = manifest_with(
        leaderboard=board(2),
        metrics={"validation": report},
        data=replace(MANIFEST.data, images={"train": train, "validation": judged}),
        spec=RunRequest(members=MembersSpec(common=common, backbones=("a", "b"), heads=("linear",), folds=folds)),
    )
    show(Terminal(), manifest, "runs/all")
    text = " ".join(capsys.readouterr().err.split())
    assert "warning: fewer than 10 judged images in 2 classes (`cat` 7, `dog` 7)" in text and remedy in text
