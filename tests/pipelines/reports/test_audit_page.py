"""The page of an audit: every finding with its picture, names as text, small however much was found."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.audit.findings import Audit, Finding, ShortcutTest, TraitShare, in_order
from pipelines.audit.kinds import KINDS
from pipelines.reports.audit_page import SHOWN, write_audit_page
from tests.pipelines.reports.test_page import HOSTILE


def make_page(folder: Path, names: Sequence[str], *, kinds: Sequence[str] = tuple(KINDS), per_kind: int = 3) -> Path:
    """Write a page with findings of each kind about noisy images of these classes, and return its path."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(8):
        path = folder / f"{number} {'<b>&' * (number == 0)}.jpg"
        Image.fromarray(rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(path)
        paths.append(str(path))
    findings = [
        Finding(
            kind=kind,
            path=""
            if kind in ("shortcut", "weak-shortcut", "small-class", "imbalance", "like-names")
            else paths[number % 8],
            label=names[number % len(names)],
            detail=f"detail {number}",
            compared_with=paths[(number + 1) % 8],
            proposed=names[(number + 1) % len(names)] if kind == "wrong-label" else "",
        )
        for kind in kinds
        for number in range(per_kind)
    ]
    share = TraitShare(trait="JPEG quality", alone=0.9, drop=0.4)
    audit = Audit(
        root=str(folder),
        num_files=8,
        class_counts=dict.fromkeys(names, 8),
        findings=in_order(findings),
        shortcut=ShortcutTest(
            images=8, accuracy=0.9, interval=(0.8, 0.95), chance=0.5, p_value=0.001, is_claimed=True, traits=(share,)
        ),
        notes=("<i>a note</i>",),
        sha256_of={path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths},
    )
    write_audit_page(audit, folder / "audit.html")
    return folder / "audit.html"


def test_every_kind_has_a_section_with_its_pictures(tmp_path: Path) -> None:
    page = make_page(tmp_path, ("cat", "dog"), per_kind=1).read_text(encoding="utf-8")
    for kind in KINDS:
        name = kind.removeprefix("weak-")  # both shortcuts have one section
        assert f'id="{name}"' in page and f'href="#{name}"' in page
    assert page.count("<img ") == len(KINDS) - 6 + 5  # five kinds in pairs; six have no picture
    assert "About half of what is flagged is truly wrong" in page
    assert 'alt="cat: ' in page


def test_names_are_text(tmp_path: Path) -> None:
    page = make_page(tmp_path, HOSTILE).read_text(encoding="utf-8")
    assert "<script" not in page and "<b>&<b>" not in page and "<i>a note" not in page
    assert "\u202e" not in page
    assert not re.search(r"(?:src|href|url)\s*=?\s*[\"(']?https?:", page)


def test_the_page_stays_small(tmp_path: Path) -> None:
    page = make_page(tmp_path, [f"class {number}" for number in range(1000)], per_kind=200)
    assert page.stat().st_size < 3_000_000
    text = page.read_text(encoding="utf-8")
    shown = [int(count) for count in re.findall(r"200 found, (\d+) of them here", text)]
    assert len(shown) == len(KINDS) - 2 and 1 <= min(shown) <= max(shown) == SHOWN


def test_a_changed_file_is_not_shown(tmp_path: Path) -> None:
    make_page(tmp_path, ("cat", "dog"), kinds=("blurred",), per_kind=1)
    path = next(tmp_path.glob("*.jpg"))
    finding = Finding(kind="blurred", path=str(path), label="cat")
    audit = Audit(root="x", num_files=1, class_counts={"cat": 1}, findings=(finding,), sha256_of={str(path): "0" * 64})
    write_audit_page(audit, tmp_path / "other.html")
    page = (tmp_path / "other.html").read_text(encoding="utf-8")
    assert "the file is gone or changed" in page and "<img" not in page


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_shortcut_is_claimed_only_where_it_is_one(tmp_path: Path, is_claimed: bool) -> None:
    test = ShortcutTest(images=8, accuracy=0.52, interval=(0.4, 0.6), chance=0.5, p_value=0.4, is_claimed=is_claimed)
    write_audit_page(Audit(root="x", num_files=0, class_counts={}, findings=(), shortcut=test), tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert ("<p>In part. " in page) is is_claimed and ("<p>Hardly. " in page) is not is_claimed
