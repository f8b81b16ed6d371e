"""Folders of images for audits, drawn or made by the tests, and what an audit finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.audit.audited_images import AuditedData, read_images
from pipelines.audit.findings import Finding
from pipelines.data.scan import scan
from pipelines.system.progress import Silent


def photo(seed: int, side: int = 160) -> Image.Image:
    """A picture with structure at every scale, unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3))
    for scale in (2, 3, 4, 8, 16, 32, 64, 128):
        coarse = Image.fromarray(rng.integers(0, 256, (scale, scale, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float64)
    pixels -= pixels.min()
    return Image.fromarray((255 * pixels / pixels.max()).astype(np.uint8))


def read(root: Path) -> AuditedData:
    """Read a data set as an audit does."""
    return read_images(scan(str(root), for_training=False), Silent(), workers=2)


def kinds_of(findings: Sequence[Finding]) -> dict[str, set[str]]:
    """Kind -> the names of the files, or of the classes, that it was found for."""
    kinds: dict[str, set[str]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, set()).add(Path(finding.path).name or finding.label)
    return kinds
