"""The record of look-alikes comes back from run.json, whatever the classes are called."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from pipelines.runs.look_alike_record import LookAlikeRecord, StricterCosine
from pipelines.system.files import write_json
from pipelines.system.records import as_record, read_plain


def test_a_record_comes_back_from_json(tmp_path: Path) -> None:
    stray = os.fsdecode(b"caf\xe9\n")
    record = LookAlikeRecord(
        images=5,
        groups=4,
        cosine=0.85,
        has_given_groups=True,
        stricter=(StricterCosine(class_name=stray, cosine=0.9), StricterCosine(class_name="b", cosine=None)),
    )
    write_json(tmp_path / "record.json", asdict(record))
    assert as_record(read_plain(tmp_path / "record.json"), LookAlikeRecord) == record
    assert as_record(json.loads('{"images": 2, "groups": 2, "cosine": 0.85}'), LookAlikeRecord).stricter == ()


def test_classes_of_one_cosine_are_named_together_the_least_first() -> None:
    cosines = {"d": None, "a": 0.95, "b": 0.9, "c": 0.95}
    stricter = tuple(StricterCosine(class_name=name, cosine=cosine) for name, cosine in cosines.items())
    line = LookAlikeRecord(images=1_000, groups=1, cosine=0.85, stricter=stricter).line
    assert line == (
        "1,000 images in 1 group of look-alikes (identical, or a cosine of features above 0.85); "
        "above 0.9 in 1 class of images that nearly all look alike: `b`; "
        "above 0.95 in 2 classes of images that nearly all look alike: `a`, `c`; "
        "by no cosine in 1 class of images that nearly all look alike: `d`"
    )
