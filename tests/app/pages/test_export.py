"""What `export` shows of its exports."""

from __future__ import annotations

import shlex
from pathlib import Path

from app.pages.export import export_page, serving_command, usage_lines
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


def test_each_export_says_how_it_is_asked_and_served() -> None:
    keras = exported(format="keras", path=Path("exported/model.keras"), signatures=("pixels: float32",))
    lines = usage_lines([exported(), keras], "runs/a", 160)
    text = "\n".join(lines)
    assert "    serving_default" in lines and "    pixels: float32" in lines
    assert "tf.saved_model.load('exported/1')" in text and "tensorflow/serving" in text
    assert "target_size=(160, 160)" in text and "'runs/a/run.json'" in text
    assert text.index("tensorflow/serving") < text.index("exported/model.keras")


def test_the_name_that_is_served_has_no_blanks_and_the_path_survives_a_shell(tmp_path: Path) -> None:
    first, second, third = serving_command(tmp_path / "my pets")
    words = shlex.split(f"{first.removesuffix(chr(92))} {second}")
    assert f"{tmp_path}/my pets:/models/my-pets" in words and "MODEL_NAME=my-pets" in words
    assert third.endswith("/v1/models/my-pets:predict")
