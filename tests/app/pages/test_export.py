"""What `export` shows of its exports."""

from __future__ import annotations

from pathlib import Path

from app.pages.export import export_page
from pipelines.export import Exported
from tests.app.pages.samples import printed


def exported(**fields: object) -> Exported:
    values: dict[str, object] = {
        "format": "savedmodel",
        "path": Path("exported/1"),
        "images": 16,
        "max_difference": 2.4e-7,
        "top1_agreement": 1.0,
        "bytes": 12_345_678,
        "seconds": 3.2,
        "signatures": ("serving_default",),
    }
    return Exported(**(values | fields))  # type: ignore[arg-type]  # the fields of an Exported


def test_each_format_has_a_row_with_size_and_agreement() -> None:
    keras = exported(format="keras", bytes=999, images=3, max_difference=0.0, top1_agreement=0.9375)
    lines = printed(export_page([exported(), keras]))
    assert lines[0].split("  ")[0] == "format"
    assert [line.split() for line in lines[2:]] == [
        ["savedmodel", "12.3", "MB", "16", "2.4e-07", "100%"],
        ["keras", "999", "B", "3", "0.0e+00", "94%"],
    ]
    assert max(len(line.rstrip()) for line in lines) <= 80
