"""A data set without what is wrong, or as the user corrected it; pictures are never touched."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.audit.findings import Finding, write_audit
from pipelines.audit.fixed_data import left_out_by, read_corrections, write_fixed
from pipelines.data.scan import scan
from tests.pipelines.audit.made import photo, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(8):
        path = tmp_path / "data" / ("cat" if seed % 2 else "dog") / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(seed, 64).save(path)
    return tmp_path / "data"


def rows_of(path: str) -> dict[str, dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return {Path(row["path"]).name: row for row in csv.DictReader(stream)}


def test_the_user_s_corrections_are_followed_alone(folder: Path, tmp_path: Path) -> None:
    paths = [str(folder / "dog" / "0.png"), str(folder / "cat" / "1.png"), str(folder / "dog" / "2.png")]
    file = write_audit(tmp_path, [Finding(kind="wrong-label", path=path, label="x") for path in paths])
    lines = file.read_text(encoding="utf-8").splitlines()
    for place, correction in ((1, "cat"), (2, "-")):  # the third has none
        lines[place] += correction
    file.write_text("\n".join(lines), encoding="utf-8")
    corrections = read_corrections(str(file), ["cat", "dog"])
    assert corrections == {paths[0]: "cat", paths[1]: "-"}
    fixed, remarks = write_fixed(tmp_path, read(folder), corrections, {})
    rows = rows_of(fixed.path)
    assert (fixed.images, fixed.left_out, fixed.relabelled, remarks) == (7, 1, 1, [])
    assert rows["0.png"]["label"] == "cat" and rows["2.png"]["label"] == "dog" and "1.png" not in rows
    assert set(rows["0.png"]) == {"path", "label"}


def test_what_findings_suggest_is_left_out_and_what_is_only_worth_a_look_stays(folder: Path) -> None:
    paths = {name: str(folder / name) for name in ("dog/0.png", "cat/1.png", "dog/2.png")}
    findings = [
        Finding(kind="wrong-label", path=paths["dog/0.png"]),
        Finding(kind="blurred", path=paths["cat/1.png"]),
        Finding(kind="unreadable", path="/gone.png"),
        Finding(kind="small-class", label="dog"),
    ]
    assert left_out_by(findings, read(folder)) == {paths["dog/0.png"]: "-"}


def test_parts_and_groups_are_kept_and_near_duplicates_get_a_group(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    lines = ["path,label,split,group"]
    for seed in range(8):
        label = "cat" if seed % 2 else "dog"
        lines.append(f"data/{label}/{seed}.png,{label},{'test' if seed > 5 else 'train'},{'anna' if seed == 1 else ''}")
    table.write_text("\n".join(lines), encoding="utf-8")
    groups = {str(folder / "cat" / "1.png"): "like-1", str(folder / "cat" / "3.png"): "like-1"}
    (tmp_path / "fixed").mkdir()
    fixed, _ = write_fixed(tmp_path / "fixed", read(table), {}, groups)
    rows = rows_of(fixed.path)
    assert [rows[name]["group"] for name in ("0.png", "1.png", "3.png")] == ["", "anna", "like-1"]
    assert [rows[name]["split"] for name in ("0.png", "7.png")] == ["train", "test"]
    listing = scan(fixed.path)
    assert listing.class_names == ("cat", "dog") and len(listing.files) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na,b\n", "has no columns"),
        ("path,correction\na,cat\na,dog\n", "two corrections: `cat`, `dog`"),
        ('path,correction\n"a,cat\n', "not valid CSV"),
    ],
)
def test_a_wrong_file_of_corrections_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "audit.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_corrections(str(tmp_path / "audit.csv"), ["cat", "dog"])
    assert message in caught.value.message


def test_a_missing_file_and_a_class_called_like_the_mark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_corrections(str(tmp_path / "none.csv"), ["cat"])
    with pytest.raises(UserError, match="a class is called `-`"):
        read_corrections(str(tmp_path / "none.csv"), ["-", "cat"])


def test_a_correction_of_another_image_and_nothing_left_are_refused(folder: Path, tmp_path: Path) -> None:
    data = read(folder)
    with pytest.raises(UserError, match="1 correction of no image of the data"):
        write_fixed(tmp_path, data, {"/elsewhere.png": "cat"}, {})
    with pytest.raises(UserError, match="leave no image"):
        write_fixed(tmp_path, data, {image.file.path: "-" for image in data.images}, {})


def test_a_class_that_is_left_without_images_is_named(folder: Path, tmp_path: Path) -> None:
    data = read(folder)
    corrections = {image.file.path: "cat" for image in data.images}
    fixed, remarks = write_fixed(tmp_path, data, corrections, {})
    assert fixed.relabelled == 4 and remarks == ["no image is left of `dog`"]
