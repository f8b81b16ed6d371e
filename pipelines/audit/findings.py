"""Holds what an audit finds, worst first, as plain records (no NumPy), and writes it as `audit.csv`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.audit.kinds import KINDS, Severity, place_of
from pipelines.runs.report import Json
from pipelines.system.files import write_csv

AUDIT_FILE, PAGE_FILE, DATA_FILE = "audit.csv", "audit.html", "data.csv"
CORRECTION = "correction"
COLUMNS = ("path", "label", "finding", "severity", "detail", "suggestion", "compared_with", "proposed", CORRECTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that may be wrong.

    Attributes:
        kind: a name of `KINDS`.
        path: the image's file, absolute; empty where it is about a class or the whole data set.
        label: name of its class; empty where it is about the whole data set.
        detail: figures or a reason, for people.
        compared_with: the file or the class that it was compared with; empty without one.
        proposed: name of the class that it probably belongs to; empty where nothing is proposed.
        rank: the greater, the worse among findings of its kind.
    """

    kind: str
    path: str = ""
    label: str = ""
    detail: str = ""
    compared_with: str = ""
    proposed: str = ""
    rank: float = 0.0

    @property
    def severity(self) -> Severity:
        """How bad its kind is."""
        return KINDS[self.kind].severity

    def to_json(self) -> Json:
        """One object of `audit --json`."""
        return {
            "finding": self.kind,
            "severity": self.severity,
            "path": self.path,
            "label": self.label,
            "detail": self.detail,
            "suggestion": KINDS[self.kind].suggestion,
            "compared_with": self.compared_with,
            "proposed": self.proposed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitShare:
    """How well one trait tells the classes.

    Attributes:
        trait: its name.
        alone: balanced accuracy out of fold of a model that has this trait alone, in [0, 1].
        drop: of the balanced accuracy of all traits together where this one is shuffled.
    """

    trait: str
    alone: float
    drop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutTest:
    """Whether the class can be told from what is not content.

    Attributes:
        images: that were looked at; copies count once.
        accuracy: balanced, out of fold, from all traits: the mean of the classes' recalls.
        interval: its 95 % interval.
        chance: balanced accuracy without knowing anything.
        p_value: the share of shuffled labels that are told as well.
        is_claimed: whether that is a shortcut.
        is_strong: whether it tells more than half of what chance leaves open.
        traits: that carry it, the most telling first; empty where none is claimed.
    """

    images: int
    accuracy: float
    interval: tuple[float, float]
    chance: float
    p_value: float
    is_claimed: bool
    is_strong: bool = False
    traits: tuple[TraitShare, ...] = ()

    def to_json(self) -> Json:
        """As `audit --json` prints it."""
        return {
            "images": self.images,
            "balanced_accuracy": self.accuracy,
            "interval": list(self.interval),
            "chance": self.chance,
            "p_value": self.p_value,
            "is_claimed": self.is_claimed,
            "is_strong": self.is_strong,
            "traits": [{"trait": one.trait, "alone": one.alone, "drop": one.drop} for one in self.traits],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes:
        root: the data, as the user named it.
        num_files: that were looked at.
        class_counts: class -> readable images.
        findings: the worst first.
        shortcut: whether classes can be told by what is not content; None where that cannot be tested.
        notes: what was not looked for, or otherwise than asked, for people.
        sha256_of: path -> hash of the content of each image that a finding names.
        run: folder of the run whose predictions and features were used; None without one.
    """

    root: str
    num_files: int
    class_counts: dict[str, int]
    findings: tuple[Finding, ...]
    shortcut: ShortcutTest | None = None
    notes: tuple[str, ...] = ()
    sha256_of: dict[str, str] = field(default_factory=dict)
    run: str | None = None

    def by_kind(self) -> dict[str, list[Finding]]:
        """Kind -> its findings, the worst kind first; kinds without one are missing."""
        kinds: dict[str, list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault(finding.kind, []).append(finding)
        return kinds

    def to_json(self) -> Json:
        """What `audit --json` prints."""
        return {
            "data": self.root,
            "files": self.num_files,
            "classes": dict(self.class_counts),
            "run": self.run,
            "findings": [finding.to_json() for finding in self.findings],
            "shortcut": None if self.shortcut is None else self.shortcut.to_json(),
            "notes": list(self.notes),
        }


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings, the worst first; of equal ones by path."""
    return tuple(
        sorted(findings, key=lambda finding: (place_of(finding.kind), -finding.rank, finding.path, finding.label))
    )


def write_audit(folder: Path, findings: Iterable[Finding]) -> Path:
    """Write `audit.csv`, with an empty column for the user's corrections, and return its path."""
    rows = (
        (
            *(finding.path, finding.label, finding.kind, finding.severity, finding.detail),
            *(KINDS[finding.kind].suggestion, finding.compared_with, finding.proposed, ""),
        )
        for finding in findings
    )
    write_csv(folder / AUDIT_FILE, COLUMNS, rows)
    return folder / AUDIT_FILE
