"""Draws the page of an audit: what is wrong with the data, worst first, with the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.audit.findings import Audit, Finding
from pipelines.audit.kinds import KINDS, Severity
from pipelines.reports.template import render
from pipelines.reports.thumbnails import thumbnail
from pipelines.runs.examples import Example
from pipelines.system.files import atomic
from pipelines.system.text import counted, one_line

TEMPLATE = "audit.html.jinja"
SHOWN = 24  # findings of a kind with their pictures
MOST_BYTES = 2_400_000  # of all pictures, 4 to 5 kB each; as many for each kind
# Of these kinds, the picture that it was compared with is shown beside it.
PAIRED = frozenset({"two-labels", "near-two-labels", "leak", "near-leak", "near-duplicate"})
SHORTCUTS = frozenset({"shortcut", "weak-shortcut"})  # which have a section of their own
WITHOUT_PICTURES = frozenset({"unreadable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding with the addresses of its small pictures; None where a file is gone, changed or not shown."""

    finding: Finding
    address: str | None = None
    other_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The findings of one kind.

    Attributes:
        kind: a name of `KINDS`.
        title: of the kind.
        severity: of the kind.
        suggestion: what to do.
        count: of all its findings.
        has_pictures: whether they are about images that can be shown.
        is_paired: whether each is shown with another picture.
        shown: the worst of them.
    """

    kind: str
    title: str
    severity: Severity
    suggestion: str
    count: int
    has_pictures: bool
    is_paired: bool
    shown: tuple[ShownFinding, ...]


def write_audit_page(audit: Audit, target: Path) -> None:
    """Write the page: one HTML document that asks for nothing from anywhere.

    Args:
        audit: what was found.
        target: the file.
    """
    sections = list(_sections(audit))
    page = render(
        TEMPLATE,
        {
            "audit": audit,
            "data_name": one_line(Path(audit.root).name or audit.root),
            "verdict": _verdict(audit),
            "sections": [section for section in sections if section.kind not in SHORTCUTS],
            "num_images": sum(audit.class_counts.values()),
            "kinds": KINDS,
        },
    )
    with atomic(target, suffix=target.suffix) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def _verdict(audit: Audit) -> str:
    """The audit in one sentence."""
    images = counted(sum(audit.class_counts.values()), "image")
    classes = counted(len(audit.class_counts), "class", "classes")
    severe = {finding.kind for finding in audit.findings if finding.severity == "high"}
    if not audit.findings:
        return f"Nothing was found in {images} of {classes}."
    kinds = ", ".join(KINDS[kind].title for kind in audit.by_kind() if kind in severe)
    return (
        f"{counted(len(audit.findings), 'finding')} in {images} of {classes}"
        + (f"; the worst: {kinds}" if kinds else ", none of them severe")
        + "."
    )


def _sections(audit: Audit) -> Iterator[Section]:
    bytes_left, kinds = MOST_BYTES, audit.by_kind()
    for number, (kind, findings) in enumerate(kinds.items()):
        has_pictures = kind not in WITHOUT_PICTURES and any(finding.path for finding in findings)
        shown: list[ShownFinding] = []
        size, most = 0, bytes_left // (len(kinds) - number)
        for finding in findings[:SHOWN]:
            one = _shown(audit, finding, is_paired=kind in PAIRED) if has_pictures else ShownFinding(finding=finding)
            size += sum(len(address) for address in (one.address, one.other_address) if address)
            if size > most:
                break
            shown.append(one)
        bytes_left -= min(size, most)
        yield Section(
            kind=kind,
            title=KINDS[kind].title,
            severity=KINDS[kind].severity,
            suggestion=KINDS[kind].suggestion,
            count=len(findings),
            has_pictures=has_pictures,
            is_paired=kind in PAIRED,
            shown=tuple(shown),
        )


def _shown(audit: Audit, finding: Finding, *, is_paired: bool) -> ShownFinding:
    return ShownFinding(
        finding=finding,
        address=_picture(audit, finding.path),
        other_address=_picture(audit, finding.compared_with) if is_paired else None,
    )


def _picture(audit: Audit, path: str) -> str | None:
    sha256 = audit.sha256_of.get(path)
    if sha256 is None:
        return None
    return thumbnail(Example(path=path, label=0, split="train", sha256=sha256, source=path))
