"""The end of a training: scores of each class, what they stand on, and which of them are chance."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from app.pages.training_end import few_images_warning, training_end
from pipelines.evaluation.metrics import report
from pipelines.runs.cross_validation_record import CrossValidationRecord, Decider
from pipelines.runs.look_alike_record import LookAlikeRecord
from pipelines.runs.report import Report
from tests.app.pages.samples import printed
from tests.pipelines.manifests import manifest_with, stage_with


def counts(*support: int) -> Report:
    """A perfect report on so many images of `a`, `b` and so on."""
    labels = np.repeat(np.arange(len(support)), support)
    return report(np.eye(len(support))[labels], labels, "abcdef"[: len(support)])


def cross_validated(
    *, decider: Decider = "folds", validation_loss: dict[str, float] | None = None
) -> CrossValidationRecord:
    return CrossValidationRecord(
        folds=5,
        look_alikes=LookAlikeRecord(images=20, groups=20, cosine=0.85),
        held_out=20,
        out_of_fold_loss={"last": 0.3},
        validation_loss=validation_loss or {},
        decider=decider,
        fitted=20,
    )


def text(**fields: object) -> str:
    lines = printed(training_end(manifest_with(**fields)))
    assert max(map(cell_len, lines)) <= 80
    return " ".join(" ".join(lines).split())


def test_scores_of_each_class_come_from_the_test_part_where_it_has_enough() -> None:
    page = text(metrics={"validation": counts(30, 30), "test": counts(10, 12)}, stages=(stage_with(),))
    assert "each class, test:" in page
    assert "test, 22 images: they chose nothing" in page
    assert "validation, 60 images: they chose the head, so that" in page


def test_scores_of_each_class_come_from_the_largest_part_where_the_test_part_is_small() -> None:
    page = text(metrics={"validation": counts(30, 30), "test": counts(10, 9)}, cross_validation=cross_validated())
    assert "each class, cross-validated:" in page
    assert "each predicted by a head that was not fitted to it" in page


@pytest.mark.parametrize(
    ("decider", "words"), [("folds", "they chose nothing"), ("validation", "they chose features and penalty")]
)
def test_a_given_validation_part_says_whether_it_decided(decider: Decider, words: str) -> None:
    record = cross_validated(decider=decider, validation_loss={"last": 0.4})
    page = text(metrics={"validation": counts(30, 30)}, cross_validation=record)
    assert f"validation, 60 images: predicted by a head of the training images alone; {words}" in page


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("from scratch",), "they chose the epoch, so"),
        (("head", "fine-tune"), "they chose the head and whether fine-tuning is kept"),
    ],
)
def test_what_validation_images_chose_depends_on_the_stages(names: tuple[str, ...], words: str) -> None:
    page = text(metrics={"validation": counts(5, 5)}, stages=tuple(stage_with(name=name) for name in names))
    assert words in page


def test_a_fine_tuned_model_that_is_kept_is_judged_by_the_validation_part_and_not_out_of_fold() -> None:
    stages = stage_with(), stage_with(name="fine-tune", kept=True)
    page = text(metrics={"validation": counts(30, 30)}, cross_validation=cross_validated(), stages=stages)
    assert "they chose the epoch of fine-tuning and whether it is kept, so that their scores are a little" in page
    assert "cross-validated" not in page and "not fitted to it" not in page
    frozen = text(
        metrics={"validation": counts(30, 30)},
        cross_validation=cross_validated(),
        stages=(stage_with(), stage_with(name="fine-tune", kept=False)),
    )
    assert "cross-validated (60 images)" in frozen


def test_classes_with_fewer_than_ten_judged_images_are_named_with_what_to_do() -> None:
    metrics = {"validation": counts(10, 9, 3, 1, 0), "test": counts(10, 3, 3, 2, 0)}
    warning = few_images_warning(manifest_with(metrics=metrics))
    assert warning.startswith("fewer than 10 judged images in 4 classes (`e` 0, `d` 2, `c` 3 and 1 more): ")
    assert "--folds 5" in warning
    assert few_images_warning(manifest_with(metrics={"validation": counts(10, 11), "test": counts(2, 2)})) == ""


def test_where_every_image_is_judged_already_images_are_asked_for() -> None:
    manifest = manifest_with(metrics={"validation": counts(10, 9)}, cross_validation=cross_validated())
    assert few_images_warning(manifest).endswith("(`b` 9): their scores are mostly chance; add images of them")
