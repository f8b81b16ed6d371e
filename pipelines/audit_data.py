"""Looks for what is wrong with labelled images, worst first.

headstart audit photos/ --run runs/photos --out audits/photos
"""

from __future__ import annotations

import csv
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.audit.findings import AUDIT_FILE, CORRECTION, PAGE_FILE, Audit, write_audit
from pipelines.audit.fixed_data import FixedData, left_out_by, read_corrections, write_fixed
from pipelines.data.outside import require_outside
from pipelines.data.scan import scan
from pipelines.runs.report import Json
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import one_line

if TYPE_CHECKING:
    from models.arrays import Probabilities
    from pipelines.audit.audited_images import AuditedData, AuditedImage
    from pipelines.audit.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an audit found, and what was written.

    Attributes:
        audit: the findings.
        page: path of the page; None where none was asked for.
        fixed: the data set; None where none was asked for.
    """

    audit: Audit
    page: str | None = None
    fixed: FixedData | None = None

    def to_json(self) -> Json:
        """What `audit --json` prints."""
        return self.audit.to_json() | {"page": self.page, "fixed": None if self.fixed is None else asdict(self.fixed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlaces:
    """Where the results of an audit go.

    Attributes:
        out: folder for `audit.csv` and `audit.html`; None for neither.
        fix: folder for `data.csv`, a data set without what is probably wrong; None for none.
        corrections: an edited `audit.csv` that says what is changed in `data.csv`; None for what findings suggest.
    """

    out: str | None = None
    fix: str | None = None
    corrections: str | None = None


def audit(
    data: str,
    *,
    run: str | None = None,
    places: AuditPlaces | None = None,
    reporter: Reporter | None = None,
) -> Written:
    """Look for what is wrong with labelled images.

    Args:
        data: as for training.
        run: folder of a complete run on these images: its held-out predictions tell labels that are probably wrong,
            its features outliers and crops.
        places: where results go; nowhere by default.
        reporter: shows progress.

    Raises:
        UserError: the data, the run, the corrections or a folder is not usable.
    """
    reporter, places = reporter or Silent(), places or AuditPlaces()
    if places.corrections and not places.fix:
        raise UserError("--corrections changes a data set that --fix writes", "add `--fix DIR`")
    listing = scan(data, for_training=False, reporter=reporter)
    folders = {name: _folder(data, folder, f"--{name}") for name in ("out", "fix") if (folder := getattr(places, name))}
    if "out" in folders:
        _keep_corrections(folders["out"])
    corrections = read_corrections(places.corrections, listing.class_names) if places.corrections else None
    if run is not None:
        from pipelines.runs.read_manifest import read_manifest

        read_manifest(run)

    from pipelines.audit.audited_images import read_images
    from pipelines.audit.whole_audit import audit_images

    images = read_images(listing, reporter)

    def evidence_of(distinct: list[AuditedImage]) -> Evidence | None:
        return None if run is None else gather_evidence(run, images, distinct, reporter)

    found, groups = audit_images(images, evidence_of, reporter)
    written = Written(audit=found)
    if "out" in folders:
        written = replace(written, page=str(_write(folders["out"], found, reporter)))
    if "fix" in folders:
        chosen = left_out_by(found.findings, images) if corrections is None else corrections
        fixed, remarks = write_fixed(folders["fix"], images, chosen, groups)
        for remark in remarks:
            reporter.warn(remark)
        written = replace(written, fixed=fixed)
    return written


def _write(folder: Path, found: Audit, reporter: Reporter) -> Path:
    from pipelines.reports.audit_page import write_audit_page

    write_audit(folder, found.findings)
    with reporter.task("drawing the page", None):
        write_audit_page(found, folder / PAGE_FILE)
    return folder / PAGE_FILE


def _folder(data: str, folder: str, option: str) -> Path:
    """Make a folder outside of the images."""
    require_outside(data, folder, subject="the audit", option=option)
    path = Path(os.path.abspath(folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"`{one_line(folder)}` cannot be made: {error.strerror or error}") from error
    return path


def _keep_corrections(folder: Path) -> None:
    """Refuse to overwrite an `audit.csv` in which the user wrote corrections."""
    try:
        with open(folder / AUDIT_FILE, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            has_corrections = any((row.get(CORRECTION) or "").strip() for row in csv.DictReader(stream))
    except FileNotFoundError:
        return
    except (OSError, csv.Error):
        has_corrections = True  # whatever it is, it is not ours to replace
    if has_corrections:
        raise UserError(
            f"`{one_line(folder / AUDIT_FILE)}` has corrections, which would be lost",
            "choose another --out, or rename the file",
        )


def gather_evidence(run: str, data: AuditedData, distinct: list[AuditedImage], reporter: Reporter) -> Evidence:
    """What a run knows of distinct images: held-out predictions, and features, computed where the cache lacks them."""
    from pipelines.audit.evidence import Evidence
    from pipelines.data.class_names import align
    from pipelines.evaluation.saved_predictions import read_held_out, read_predictions
    from pipelines.inference.examples import frozen_features
    from pipelines.runs.read_manifest import read_manifest

    manifest = read_manifest(run)
    alignment = align(data.class_names, manifest.class_names)
    prediction_of: dict[str, Probabilities] = {}
    for part in (read_predictions(run, "test"), read_held_out(run)):
        if part is not None:
            prediction_of |= {sha256.decode(): row for sha256, row in zip(part.sha256, part.probabilities, strict=True)}
    features = frozen_features(run, manifest, [image.example for image in distinct], reporter) if distinct else None
    unknown = sum(image.sha256 not in prediction_of for image in distinct)
    remarks = []
    if unknown:
        remarks.append(
            f"labels of {unknown:,} of {len(distinct):,} distinct images are not judged: the run has no prediction of "
            "them by a model that was not trained on them"
        )
    if features is None:
        remarks.append("the run trained its backbone: outliers and neighbours need one that is frozen")
    return Evidence(
        folder=run,
        class_names=manifest.class_names,
        label_of=alignment.labels,
        prediction_of=prediction_of,
        features=features,
        remarks=tuple(remarks),
    )
