"""What is said of a run in one sentence: the figures, their interval, and what they stand on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluation.metrics import report
from pipelines.reports.verdict import judge, percent
from pipelines.runs.cross_validation_record import CrossValidationRecord
from pipelines.runs.look_alike_record import LookAlikeRecord
from tests.pipelines.manifests import stage_with
from tests.pipelines.reports.made import made_manifest, scores


def test_the_sentence_has_the_share_its_interval_and_what_no_look_would_give() -> None:
    # 45 of 50 are right: Wilson's interval is 0.786 to 0.957 (Newcombe 1998, table I gives such cases to three digits).
    verdict = judge(made_manifest({"test": scores(right=45, wrong=5)}))
    assert verdict.part == "test"
    assert "90.0 % of 50 images" in verdict.sentence
    assert "78.6 % to 95.7 %" in verdict.sentence
    assert "always answering “cat” would give 50.0 %" in verdict.sentence
    assert not verdict.is_guess
    assert "which chose nothing" in verdict.basis


def test_a_model_that_may_be_guessing_is_called_that() -> None:
    verdict = judge(made_manifest({"test": scores(right=27, wrong=23)}))
    assert verdict.is_guess
    assert "not clearly better than answering without looking" in verdict.sentence


def test_validation_images_are_said_to_have_chosen_the_model() -> None:
    manifest = made_manifest({"validation": scores(right=45, wrong=5)})
    assert "which chose the model" in judge(manifest).basis
    record = CrossValidationRecord(
        folds=5,
        look_alikes=LookAlikeRecord(images=50, groups=50, cosine=0.9),
        held_out=50,
        out_of_fold_loss={"last": 0.3},
        decider="folds",
        fitted=50,
    )
    assert "out of fold" in judge(replace(manifest, cross_validation=record)).basis
    # Beside a validation part of the user's own, the folds chose, and these images nothing.
    given = replace(record, validation_loss={"last": 0.4})
    assert "which chose nothing" in judge(replace(manifest, cross_validation=given)).basis
    decided = replace(given, decider="validation")
    assert "which chose the model" in judge(replace(manifest, cross_validation=decided)).basis
    # A fine-tuned model that is kept is judged by the validation part, which chose its epoch.
    tuned = replace(manifest, cross_validation=record, stages=(stage_with(name="fine-tune", kept=True),))
    assert "which chose the model" in judge(tuned).basis


def test_a_class_with_few_images_is_named() -> None:
    labels = np.repeat([0, 1], [40, 3]).astype(np.int32)
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    verdict = judge(made_manifest({"test": report(probabilities, labels, ("cat", "dog"))}))
    assert "“dog” has 3 images" in verdict.basis


@pytest.mark.parametrize(("share", "text"), [(0.0, "0.0 %"), (0.9137, "91.4 %"), (1.0, "100.0 %")])
def test_shares_are_percentages_with_one_digit(share: float, text: str) -> None:
    assert percent(share) == text
