"""Runs every search of an audit on images that were read, and puts the findings in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from pipelines.audit.audited_images import AuditedData, AuditedImage
from pipelines.audit.class_findings import find_in_classes
from pipelines.audit.copies import distinct_places, find_copies, find_near_copies, near_groups
from pipelines.audit.evidence import Evidence, find_by_run
from pipelines.audit.file_findings import find_in_files
from pipelines.audit.findings import Audit, Finding, ShortcutTest, in_order
from pipelines.audit.near_pairs import find_near_pairs
from pipelines.audit.shortcuts import find_shortcuts
from pipelines.system.progress import Reporter

NO_RUN = (
    "labels that are probably wrong and outliers need a run: train one (`headstart train DATA`), then add `--run RUN`"
)
NO_SHORTCUT_TEST = "shortcuts are not looked for: fewer than two classes have ten distinct images"


def audit_images(
    data: AuditedData, evidence_of: Callable[[list[AuditedImage]], Evidence | None], reporter: Reporter
) -> tuple[Audit, Mapping[str, str]]:
    """Look for everything that is known to go wrong.

    Args:
        data: read before.
        evidence_of: gives what a run knows of the distinct images; None without a run.
        reporter: shows progress.

    Returns:
        The audit, and path -> a name for its near duplicates.
    """
    findings, notes = find_in_files(data)
    findings += find_copies(data)
    places = distinct_places(data)
    distinct = [data.images[place] for place in places]
    evidence = evidence_of(distinct)
    with reporter.task("looking for near duplicates", None):
        pairs = find_near_pairs(distinct, None if evidence is None else evidence.features)
        findings += find_near_copies(data, places, pairs)
        groups = near_groups(data, places, pairs)
    counts = Counter(image.file.label for image in distinct)
    names = data.class_names
    findings += find_in_classes(data.class_counts(), {name: counts[label] for label, name in enumerate(names)})
    with reporter.task("looking for shortcuts", None):
        shortcut = find_shortcuts(distinct, [groups.get(image.file.path, image.sha256) for image in distinct])
    if shortcut is None:
        notes.append(NO_SHORTCUT_TEST)
    elif shortcut.is_claimed:
        findings.append(_shortcut_finding(shortcut))
    if evidence is None:
        notes.append(NO_RUN)
    else:
        findings += find_by_run(distinct, names, evidence)
        notes += evidence.remarks
    named = {finding.path for finding in findings} | {finding.compared_with for finding in findings}
    audit = Audit(
        root=data.listing.root,
        num_files=len(data.listing.files),
        class_counts=data.class_counts(),
        findings=in_order(findings),
        shortcut=shortcut,
        notes=tuple(notes),
        sha256_of={image.file.path: image.sha256 for image in data.images if image.file.path in named},
        run=None if evidence is None else evidence.folder,
    )
    return audit, groups


def _shortcut_finding(test: ShortcutTest) -> Finding:
    low, high = test.interval
    carriers = ", ".join(f"{share.trait} alone {100 * share.alone:.0f} %" for share in test.traits)
    detail = (
        f"{100 * test.accuracy:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f}) from what is "
        f"not content, by chance {100 * test.chance:.0f} %"
    )
    kind = "shortcut" if test.is_strong else "weak-shortcut"
    return Finding(kind=kind, detail=f"{detail}: {carriers}" if carriers else detail, rank=test.accuracy)
