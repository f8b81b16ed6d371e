"""Writes a CSV data set without the images that are probably wrong, or with the user's corrections."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.audit.findings import AUDIT_FILE, CORRECTION, DATA_FILE, Finding
from pipelines.audit.kinds import KINDS
from pipelines.system.files import write_csv
from pipelines.system.text import counted, name_list, one_line

if TYPE_CHECKING:
    from pipelines.audit.audited_images import AuditedData

LEAVES_OUT = "-"  # in the column of corrections


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedData:
    """The data set that was written.

    Attributes:
        path: of the CSV.
        images: rows in it.
        left_out: images that are not.
        relabelled: images with another class than before.
    """

    path: str
    images: int
    left_out: int
    relabelled: int


def left_out_by(findings: Iterable[Finding], data: AuditedData) -> dict[str, str]:
    """The corrections that findings suggest: path -> `LEAVES_OUT`, of each image that is probably wrong.

    Of identical images in two classes all are left out, of others all but the one that is not named.

    Args:
        findings: of the data.
        data: read before.
    """
    paths = {image.file.path for image in data.images}
    return {
        finding.path: LEAVES_OUT for finding in findings if finding.path in paths and KINDS[finding.kind].is_left_out
    }


def read_corrections(file: str, class_names: Sequence[str]) -> dict[str, str]:
    """Read the column `correction` of an edited `audit.csv`: path -> a class, or `LEAVES_OUT`.

    Args:
        file: any CSV with the columns `path` and `correction`; empty corrections count for nothing.
        class_names: of the data. A new class may be named too.

    Raises:
        UserError: the file cannot be read, lacks a column, or gives one image two corrections.
    """
    hint = f"audit.csv as `headstart audit --out` writes it, with a class or `{LEAVES_OUT}` in its last column"
    if LEAVES_OUT in class_names:
        raise UserError(f"a class is called `{LEAVES_OUT}`, which means leaving an image out", "rename the class")
    corrections: dict[str, str] = {}
    try:
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            if not {"path", CORRECTION} <= set(rows.fieldnames or ()):
                raise UserError(f"`{one_line(file)}` has no columns `path` and `{CORRECTION}`", hint)
            for row in rows:
                path, correction = row["path"] or "", (row[CORRECTION] or "").strip()
                if not path or not correction:
                    continue
                if corrections.setdefault(path, correction) != correction:
                    both = name_list([corrections[path], correction])
                    raise UserError(f"`{one_line(path)}` has two corrections: {both}", "keep one of them")
    except OSError as error:
        raise UserError(f"`{one_line(file)}` cannot be read: {error.strerror or error}", hint) from error
    except csv.Error as error:
        raise UserError(f"`{one_line(file)}` is not valid CSV: {error}", hint) from error
    return corrections


def write_fixed(
    folder: Path, data: AuditedData, corrections: Mapping[str, str], groups: Mapping[str, str]
) -> tuple[FixedData, list[str]]:
    """Write `data.csv` (`path,label`, and `split` and `group` where there are any), and return what is in it.

    No image is moved, copied or changed.

    Args:
        folder: exists.
        data: read before.
        corrections: path -> a class, or `LEAVES_OUT`.
        groups: path -> a name for its near duplicates; a group that the user gave stays.

    Raises:
        UserError: a correction names no image of the data, or nothing is left.
    """
    names = data.class_names
    paths = {image.file.path for image in data.images}
    unknown = [path for path in corrections if path not in paths | {skipped.path for skipped in data.skipped}]
    if unknown:
        raise UserError(
            f"{counted(len(unknown), 'correction')} of no image of the data: {name_list(unknown, 3)}",
            "audit the same data that the corrections were made for",
        )
    kept = [image for image in data.images if corrections.get(image.file.path) != LEAVES_OUT]
    if not kept:
        raise UserError("the corrections leave no image", f"leave out fewer: `{LEAVES_OUT}` in `{AUDIT_FILE}`")
    group_of = {image.file.path: image.file.group or groups.get(image.file.path, "") for image in kept}
    has_parts, has_groups = data.listing.has_given_parts, any(group_of.values())
    header = ("path", "label", *(("split",) if has_parts else ()), *(("group",) if has_groups else ()))
    labels = [corrections.get(image.file.path, names[image.file.label]) for image in kept]
    write_csv(
        folder / DATA_FILE,
        header,
        (
            (
                *(image.file.path, label),
                *((image.file.split,) if has_parts else ()),
                *((group_of[image.file.path],) if has_groups else ()),
            )
            for image, label in zip(kept, labels, strict=True)
        ),
    )
    gone = [name for name in names if name not in set(labels)]
    fixed = FixedData(
        path=str(folder / DATA_FILE),
        images=len(kept),
        left_out=len(data.images) - len(kept),
        relabelled=sum(label != names[image.file.label] for label, image in zip(labels, kept, strict=True)),
    )
    return fixed, [f"no image is left of {name_list(gone)}"] if gone else []
