"""An audit from data to files: hostile names, parts, one class, a run, corrections; images stay as they are."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.audit_data import AuditPlaces, audit
from pipelines.data.scan import scan
from pipelines.train import train
from tests.conftest import Result
from tests.pipelines.audit.made import kinds_of, photo
from tests.pipelines.reporters import Notes
from tests.specs import train_spec

HOSTILE = ("<script>alert(1)", 'a "b", c', "back\\slash", "\u202egnp.exe", "n" * 200, os.fsdecode(b"caf\xe9"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Classes with hostile names, with a copy in two of them, a broken file and a near duplicate."""
    for place, name in enumerate(HOSTILE):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            photo(10 * place + number, 64).save(tmp_path / "data" / name / f"{name[:40]}-{number}.png")
    first, second = (tmp_path / "data" / name for name in HOSTILE[:2])
    shutil.copy(next(first.iterdir()), second / "copy.png")
    photo(999, 64).save(first / "whole.png")
    photo(999, 64).save(first / "again.jpg", quality=60)
    (first / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    return tmp_path / "data"


def test_hostile_names_pass_through_every_output(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    out = tmp_path / "out"
    written = audit(str(folder), places=AuditPlaces(out=str(out), fix=str(tmp_path / "fixed")))
    kinds = kinds_of(written.audit.findings)
    assert kinds["unreadable"] == {"broken.png"}
    assert len(kinds["two-labels"]) == 2 and kinds["near-duplicate"] <= {"whole.png", "again.jpg"}
    assert kinds["small-class"] == set(HOSTILE)
    page = (out / "audit.html").read_text(encoding="utf-8")
    assert "<script" not in page and "\u202e" not in page
    with open(out / "audit.csv", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows if row["finding"] == "small-class"} == set(HOSTILE)
    json.dumps(written.to_json(), allow_nan=False)
    assert contents(folder) == before
    listing = scan(str(tmp_path / "fixed" / "data.csv"), for_training=False)
    assert len(listing.files) == 18 + 1 + 2 - 2  # without the broken file and the copies with two labels


def test_a_training_on_the_fixed_data_works(
    image_folder: Callable[..., Path], tmp_path: Path, headstart: Callable[..., Result]
) -> None:
    data = image_folder(per_class=12)
    shutil.copy(data / "circle" / "circle-000.png", data / "square" / "wrong.png")
    (data / "circle" / "broken.png").write_bytes(b"nothing")
    audited = headstart("audit", data, "--fix", tmp_path / "fixed")
    assert audited.code == 0, audited.err
    result = headstart(
        *("train", tmp_path / "fixed" / "data.csv", "--out", tmp_path / "run", "--backbone", "small_cnn"),
        *("--weights", "none", "--epochs", "1", "--no-report"),
    )
    assert result.code == 0, result.err
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert sum(sum(part.values()) for part in record["data"]["images"].values()) == 35
    assert not any("two classes" in remark for remark in record["data"]["remarks"])


def test_one_class_has_no_shortcut_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for seed in range(25):
        photo(seed, 48).save(tmp_path / "cat" / f"{seed}.png")
    found = audit(str(tmp_path)).audit
    assert found.shortcut is None
    assert any("shortcuts are not looked for" in note for note in found.notes)
    assert found.class_counts == {"cat": 25}


def test_without_a_run_the_audit_says_what_else_could_be_found(folder: Path) -> None:
    assert any("--run" in note and "headstart train" in note for note in audit(str(folder)).audit.notes)


def test_no_readable_image_is_findings_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    found = audit(str(tmp_path)).audit
    assert kinds_of(found.findings) == {"unreadable": {"a.png"}, "small-class": {"cat"}}


def test_corrections_are_never_overwritten(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    audit(str(folder), places=AuditPlaces(out=out))
    audit(str(folder), places=AuditPlaces(out=out))  # without corrections nothing is lost
    text = (tmp_path / "out" / "audit.csv").read_text(encoding="utf-8", errors="surrogateescape")
    header, first, *rest = text.splitlines()
    changed = "\n".join([header, first + "-", *rest])
    (tmp_path / "out" / "audit.csv").write_text(changed, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match="has corrections"):
        audit(str(folder), places=AuditPlaces(out=out))
    fixed = audit(str(folder), places=AuditPlaces(fix=str(tmp_path / "f"), corrections=f"{out}/audit.csv")).fixed
    assert fixed is not None and fixed.left_out + fixed.relabelled <= 1


@pytest.mark.parametrize("option", ["out", "fix"])
def test_nothing_is_written_between_the_images(folder: Path, option: str) -> None:
    with pytest.raises(UserError) as caught:
        audit(str(folder), places=AuditPlaces(**{option: str(folder / "audit")}))
    assert f"--{option}" in caught.value.hint


def test_corrections_without_a_place_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="--corrections"):
        audit(str(folder), places=AuditPlaces(corrections="audit.csv"))


def test_a_thousand_classes_are_shown_on_one_small_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["path,label"]
    (tmp_path / "images").mkdir()
    for number in range(1000):
        path = tmp_path / "images" / f"{number}.bmp"
        path.write_bytes(b"BM" + rng.bytes(40))
        lines.append(f"{path},class {number}")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    written = audit(str(tmp_path / "list.csv"), places=AuditPlaces(out=str(tmp_path / "out")))
    assert len(written.audit.class_counts) == 1000
    assert (tmp_path / "out" / "audit.html").stat().st_size < 3_000_000


def test_a_run_tells_planted_labels_and_says_what_it_cannot(drawn: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(drawn / "data", data)
    moved = data / "square" / "moved.png"
    shutil.move(data / "circle" / "00.png", moved)
    # A run on the same images: each is judged by a head that was not fitted to it.
    train(
        train_spec(
            data=str(data),
            out=str(tmp_path / "run"),
            backbone="small_cnn",
            weights="none",
            epochs=8,
            learning_rate=3e-3,
        )
    )
    notes = Notes()
    found = audit(str(data), run=str(tmp_path / "run"), reporter=notes).audit
    assert any("not judged" in note for note in found.notes)  # trained from scratch: its training images
    assert any("trained its backbone" in note for note in found.notes)
    assert found.run == str(tmp_path / "run")
    wrong = kinds_of(found.findings).get("wrong-label", set())
    assert len(wrong) <= 6
