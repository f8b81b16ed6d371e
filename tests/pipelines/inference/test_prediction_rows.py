"""Every format gives every path back, and the predictions of every member."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest

from pipelines.inference import prediction_rows as rows_module
from pipelines.inference.prediction import Columns, Prediction
from pipelines.inference.prediction_rows import FORMATS, SCHEMA, escape_formulas
from pipelines.inference.write_rows import write

ODD_PATHS = [
    "plain.jpg",
    'comma, "quote".jpg',
    "new\nline.jpg",
    "return\rhere.jpg",
    "both\r\nhere.jpg",
    "caf\u00e9 \u65e5\u672c.jpg",
    "stray\udcff\udc80byte.jpg",
    " blanks ",
    "back\\slash\\n.jpg",
    "tab\tand\x1b[31m.jpg",
    "=1+1",
]
NAMES = ("cat", "d\u00f6g", "odd,\nname")
PLAIN = Columns(class_names=NAMES)


def predictions() -> list[Prediction]:
    rows = [
        Prediction(path=path, status="ok", label=NAMES[2], probability=0.75, top_k=((NAMES[2], 0.75), (NAMES[1], 0.25)))
        for path in ODD_PATHS
    ]
    rows.insert(1, Prediction(path="lost\n.jpg", status="unreadable", reason="no such file"))
    return rows


def written(format_name: str, rows: list[Prediction], columns: Columns = PLAIN) -> bytes:
    stream = io.BytesIO()
    tally = write(rows, FORMATS[format_name], columns=columns, out=None, stdout=stream)
    assert (tally.rows, tally.unreadable) == (len(rows), sum(row.status == "unreadable" for row in rows))
    return stream.getvalue()


def test_csv_gives_every_path_back() -> None:
    text = io.TextIOWrapper(
        io.BytesIO(written("csv", predictions())), encoding="utf-8", errors="surrogateescape", newline=""
    )
    parsed = list(csv.DictReader(text))
    assert [row["path"] for row in parsed] == [row.path for row in predictions()]
    assert parsed[1] == {
        "path": "lost\n.jpg",
        "status": "unreadable",
        "label": "",
        "probability": "",
        "top_k": "",
        "reason": "no such file",
        "entropy": "",
        "schema": str(SCHEMA),
    }
    assert (parsed[0]["label"], float(parsed[0]["probability"])) == (NAMES[2], 0.75)
    assert parsed[0]["top_k"] == f"{NAMES[2]} 0.75; {NAMES[1]} 0.25"


def test_csv_has_the_bytes_of_the_file_name() -> None:
    assert b"stray\xff\x80byte.jpg" in written("csv", predictions())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_formulas_are_escaped_when_asked_and_nothing_else_is(start: str) -> None:
    formula = f"{start}cmd|' /C calc'!A0"
    rows = [
        Prediction(path=formula, status="ok", label=formula, probability=0.5, top_k=((formula, 0.5),)),
        Prediction(path="a=1.jpg", status="ok", label="cat-1", probability=0.5, top_k=(("cat-1", 0.5),)),
    ]

    def cells(predicted: list[Prediction]) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(written("csv", predicted).decode(), newline="")))

    first, second = cells(list(escape_formulas(rows)))
    assert (first["path"], first["label"]) == (f"'{formula}", f"'{formula}")
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for text in first.values())
    assert first["top_k"] == f"'{formula} 0.5"
    exact = cells(rows)
    assert second == exact[1]
    assert (exact[0]["path"], exact[0]["label"]) == (formula, formula)


def test_jsonl_gives_every_path_back_and_is_ascii() -> None:
    raw = written("jsonl", predictions())
    lines = raw.decode("ascii").splitlines()
    assert len(lines) == len(predictions())
    parsed = [json.loads(line) for line in lines]
    assert [os.fsencode(row["path"]) for row in parsed] == [os.fsencode(row.path) for row in predictions()]
    assert parsed[1]["label"] is None
    assert parsed[1]["top_k"] == []
    first = ["path", "status", "label", "probability", "top_k", "reason"]
    assert list(parsed[0]) == [*first, "agreement", "entropy", "members", "schema"]
    assert {row["schema"] for row in parsed} == {SCHEMA}


def test_parquet_gives_every_path_back() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    parsed = parquet.read_table(io.BytesIO(written("parquet", predictions()))).to_pylist()
    back = [row["path_bytes"] if row["path_bytes"] is not None else row["path"].encode() for row in parsed]
    assert back == [os.fsencode(row.path) for row in predictions()]
    assert [row["path_bytes"] is not None for row in parsed].count(True) == 1
    assert parsed[1]["probability"] is None
    assert parsed[0]["top_k"][1] == {"label": NAMES[1], "probability": 0.25}


def test_predictions_of_members_are_in_every_format() -> None:
    row = Prediction(
        path="a.jpg",
        status="ok",
        label="cat",
        probability=0.75,
        top_k=(("cat", 0.75),),
        agreement=0.5,
        entropy=0.25,
        members=(("one", "cat", 0.9), ("two", NAMES[1], 0.6)),
    )
    members = [
        {"member": "one", "label": "cat", "probability": 0.9},
        {"member": "two", "label": NAMES[1], "probability": 0.6},
    ]
    as_json = json.loads(written("jsonl", [row]))
    assert (as_json["agreement"], as_json["entropy"], as_json["members"]) == (0.5, 0.25, members)
    columns = Columns(class_names=NAMES, is_ensemble=True, members=("one", "two"))
    lost = Prediction(path="b.jpg", status="unreadable", reason="no such file")
    as_csv, of_lost = csv.DictReader(io.StringIO(written("csv", [row, lost], columns).decode()))
    assert (float(as_csv["agreement"]), as_csv["label:one"], as_csv["label:two"]) == (0.5, "cat", NAMES[1])
    assert (float(as_csv["probability:one"]), float(as_csv["probability:two"])) == (0.9, 0.6)
    assert of_lost["label:two"] == of_lost["agreement"] == "" and of_lost["schema"] == str(SCHEMA)
    assert "(one: cat 0.900, two: d\u00f6g 0.600, agreement 0.50)" in written("table", [row]).decode()
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(io.BytesIO(written("parquet", [row]))).to_pylist()[0]["members"] == members


def test_scores_are_one_column_a_class_in_csv_and_parquet_and_an_object_in_jsonl() -> None:
    columns = Columns(class_names=NAMES, has_scores=True)
    rows = [
        Prediction(path="a.jpg", status="ok", label="cat", probability=0.75, scores=(0.75, 0.25, 0.0)),
        Prediction(path="b.jpg", status="unreadable", reason="no such file"),
    ]
    scored, lost = csv.DictReader(io.StringIO(written("csv", rows, columns).decode(), newline=""))
    assert [scored[f"score:{name}"] for name in NAMES] == ["0.75", "0.25", "0.0"]
    assert [lost[f"score:{name}"] for name in NAMES] == ["", "", ""]
    first, second = (json.loads(line) for line in written("jsonl", rows, columns).splitlines())
    assert (first["scores"], second["scores"]) == (dict(zip(NAMES, (0.75, 0.25, 0.0), strict=True)), None)
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(written("parquet", rows, columns))).to_pylist()
    assert [[row[f"score:{name}"] for name in NAMES] for row in table] == [[0.75, 0.25, 0.0], [None] * 3]
    assert {row["schema"] for row in table} == {SCHEMA}


def test_no_cell_of_a_csv_holds_json() -> None:
    text = io.TextIOWrapper(io.BytesIO(written("csv", predictions())), "utf-8", errors="surrogateescape", newline="")
    assert not [cell for row in csv.reader(text) for cell in row if cell.startswith(("[", "{"))]


def test_a_file_that_is_no_image_is_counted_and_has_no_row() -> None:
    rows = [*predictions()[:2], Prediction(path="photos/notes", status="not an image", reason="not an image but text")]
    stream = io.BytesIO()
    tally = write(rows, FORMATS["jsonl"], columns=PLAIN, out=None, stdout=stream)
    assert (tally.rows, tally.unreadable, tally.others, len(stream.getvalue().splitlines())) == (2, 1, 1, 2)


def test_parquet_without_rows_has_its_columns() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(written("parquet", [])))
    assert table.num_rows == 0
    assert table.column_names[:3] == ["path", "status", "label"]


def test_parquet_is_streamed_in_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(rows_module, "ROW_GROUP", 5)
    file = parquet.ParquetFile(io.BytesIO(written("parquet", predictions())))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [5, 5, 2]


def test_parquet_goes_into_a_pipe() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    code = (
        "import sys; from pipelines.inference.prediction_rows import FORMATS, Columns, Prediction; "
        "from pipelines.inference.write_rows import write; "
        "write([Prediction(path='a', status='ok', label='x', probability=1.0)], "
        "FORMATS['parquet'], columns=Columns(class_names=['x']), out=None, stdout=sys.stdout.buffer)"
    )
    parsed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert parquet.read_table(io.BytesIO(parsed.stdout)).column("path").to_pylist() == ["a"]


def test_table_has_one_printable_line_per_row() -> None:
    lines = written("table", predictions()).decode().removesuffix("\n").split("\n")
    assert len(lines) == 1 + len(predictions())
    assert all(line.isprintable() for line in lines)
    assert re.fullmatch(r"label +probability  path", lines[0])
    assert lines[1] == "odd,\\nname        0.750  plain.jpg  (d\u00f6g 0.250)"
    assert lines[2] == "unreadable            -  lost\\n.jpg  (no such file)"
    assert "stray\\xff\\x80byte.jpg" in lines[8]


def test_the_formats_are_listed_without_numpy() -> None:
    code = (
        "import sys, pipelines.inference.prediction_rows; "
        "assert not {'numpy', 'pyarrow', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sets_and_costs_are_in_every_format_where_they_were_asked_for() -> None:
    columns = Columns(class_names=NAMES, has_sets=True, has_costs=True)
    rows = [
        Prediction(
            path="a.jpg",
            status="ok",
            label="cat",
            probability=0.25,
            top_k=((NAMES[1], 0.75), ("cat", 0.25)),
            possible=(NAMES[1], "cat"),
            expected_cost=0.5,
        ),
        Prediction(path="b.jpg", status="unreadable", reason="no such file"),
    ]
    first, lost = csv.DictReader(io.StringIO(written("csv", rows, columns).decode(), newline=""))
    assert (first["set"], first["chosen_by"], first["expected_cost"]) == ("d\u00f6g; cat", "cost", "0.5")
    assert lost["set"] == lost["chosen_by"] == lost["expected_cost"] == ""
    expected = {"set": [NAMES[1], "cat"], "chosen_by": "cost", "expected_cost": 0.5}
    of_first, of_lost = (json.loads(line) for line in written("jsonl", rows, columns).splitlines())
    assert {name: of_first[name] for name in expected} == expected
    assert {name: of_lost[name] for name in expected} == dict.fromkeys(expected)
    assert not expected.keys() & json.loads(written("jsonl", rows[:1])).keys()
    assert "(d\u00f6g 0.750, set: d\u00f6g or cat, least expected cost 0.5)" in written("table", rows, columns).decode()
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(written("parquet", rows, columns))).to_pylist()
    assert [{name: row[name] for name in expected} for row in table] == [expected, dict.fromkeys(expected)]


def test_formulas_in_sets_are_escaped() -> None:
    (row,) = escape_formulas([Prediction(path="a.jpg", status="ok", possible=("=1+1", "cat"))])
    assert row.possible == ("'=1+1", "cat")
