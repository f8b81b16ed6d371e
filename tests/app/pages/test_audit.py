"""The table of an audit: worst first, in 80 columns, names as text."""

from __future__ import annotations

from rich.cells import cell_len

from app.console import Terminal
from app.pages.audit import audit_page
from pipelines.audit.findings import Audit, Finding, ShortcutTest, TraitShare, in_order
from pipelines.audit.kinds import KINDS, SEVERITIES


def made_audit() -> Audit:
    """An audit with a finding of the worst kind and one of a mild one, and a shortcut."""
    return Audit(
        root="photos",
        num_files=12,
        class_counts={"cat": 6, "dog": 5},
        findings=in_order(
            [
                Finding(kind="blurred", path="/photos/cat/soft.jpg", label="cat", detail="sharpness 0.02"),
                Finding(kind="two-labels", path="/photos/dog/b.jpg", label="dog", compared_with="/photos/cat/a.jpg"),
                Finding(kind="two-labels", path="/photos/cat/a.jpg", label="cat", compared_with="/photos/dog/b.jpg"),
            ]
        ),
        shortcut=ShortcutTest(
            images=11,
            accuracy=0.91,
            interval=(0.8, 0.97),
            chance=0.5,
            p_value=0.001,
            is_claimed=True,
            traits=(TraitShare(trait="JPEG quality", alone=0.9, drop=0.4),),
        ),
        notes=("labels need a run",),
    )


def shown(audit: Audit) -> str:
    terminal = Terminal()
    console = terminal.console("stdout")
    console.width = 80
    with console.capture() as capture:
        console.print(audit_page(audit))
    return capture.get()


def test_the_worst_comes_first_and_what_to_do_is_said() -> None:
    text = shown(made_audit())
    assert text.index("identical images in two classes") < text.index("blurred images")
    assert "a.jpg" in text and "keep the copy in the right class" in text
    assert (
        "a weak shortcut: size, format, camera, colours and numbering alone tell\n  91 % (80 .. 97), by chance 50 %"
        in text
    )
    assert "JPEG quality alone tells 90 %; without it 40 points are lost" in text
    assert "note: labels need a run" in text


def test_every_kind_fits_80_columns() -> None:
    findings = [Finding(kind=kind, path=f"/{'x' * 90}.jpg", label="猫" * 30) for kind in KINDS] * 1234
    audit = Audit(root="photos", num_files=1, class_counts={"a": 1}, findings=in_order(findings))
    lines = shown(audit).splitlines()
    assert max(map(cell_len, lines)) <= 80
    rows = [line for line in lines if line.startswith(SEVERITIES)]
    assert len(rows) == len(KINDS)  # none is wrapped
    severities = [row.split()[0] for row in rows]
    assert severities == sorted(severities, key=SEVERITIES.index)


def test_names_are_text() -> None:
    finding = Finding(kind="like-names", label="a\x1b[31m\u202eb", compared_with="c")
    text = shown(Audit(root="p", num_files=0, class_counts={}, findings=(finding,)))
    assert "\x1b" not in text and "\u202e" not in text


def test_nothing_found_is_said() -> None:
    text = shown(Audit(root="p", num_files=3, class_counts={"a": 3}, findings=()))
    assert text.strip() == "nothing found in 3 images of 1 class"
