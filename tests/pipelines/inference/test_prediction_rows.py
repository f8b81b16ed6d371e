"""Every format gives back every path; a file is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.inference import prediction_rows as rows_module
from pipelines.inference.prediction_rows import FORMATS, Prediction, require, write

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


def predicted() -> list[Prediction]:
    found = [
        Prediction(path=path, status="ok", label=NAMES[2], probability=0.75, top_k=((NAMES[2], 0.75), (NAMES[1], 0.25)))
        for path in ODD_PATHS
    ]
    found.insert(1, Prediction(path="lost\n.jpg", status="unreadable", reason="there is no such file"))
    return found


def written(format_name: str, rows: list[Prediction]) -> bytes:
    stream = io.BytesIO()
    tally = write(rows, format_name=format_name, class_names=NAMES, out=None, stdout=stream)
    assert (tally.rows, tally.unreadable) == (len(rows), sum(row.status == "unreadable" for row in rows))
    return stream.getvalue()


def test_csv_gives_every_path_back() -> None:
    text = io.TextIOWrapper(
        io.BytesIO(written("csv", predicted())), encoding="utf-8", errors="surrogateescape", newline=""
    )
    found = list(csv.DictReader(text))
    assert [row["path"] for row in found] == [row.path for row in predicted()]
    assert found[1] == {
        "path": "lost\n.jpg",
        "status": "unreadable",
        "label": "",
        "probability": "",
        "top_k": "[]",
        "reason": "there is no such file",
        "agreement": "",
        "entropy": "",
        "members": "[]",
    }
    assert (found[0]["label"], float(found[0]["probability"])) == (NAMES[2], 0.75)
    assert json.loads(found[0]["top_k"]) == [
        {"label": NAMES[2], "probability": 0.75},
        {"label": NAMES[1], "probability": 0.25},
    ]


def test_csv_has_the_bytes_of_the_file_name() -> None:
    assert b"stray\xff\x80byte.jpg" in written("csv", predicted())


def test_jsonl_gives_every_path_back_and_is_ascii() -> None:
    raw = written("jsonl", predicted())
    lines = raw.decode("ascii").splitlines()
    assert len(lines) == len(predicted())
    found = [json.loads(line) for line in lines]
    assert [os.fsencode(row["path"]) for row in found] == [os.fsencode(row.path) for row in predicted()]
    assert found[1]["label"] is None
    assert found[1]["top_k"] == []
    first = ["path", "status", "label", "probability", "top_k", "reason"]
    assert list(found[0]) == [*first, "agreement", "entropy", "members"]


def test_parquet_gives_every_path_back() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = parquet.read_table(io.BytesIO(written("parquet", predicted()))).to_pylist()
    back = [row["path_bytes"] if row["path_bytes"] is not None else row["path"].encode() for row in found]
    assert back == [os.fsencode(row.path) for row in predicted()]
    assert [row["path_bytes"] is not None for row in found].count(True) == 1
    assert found[1]["probability"] is None
    assert found[0]["top_k"][1] == {"label": NAMES[1], "probability": 0.25}


def test_what_members_say_is_in_every_format() -> None:
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
    said = [
        {"member": "one", "label": "cat", "probability": 0.9},
        {"member": "two", "label": NAMES[1], "probability": 0.6},
    ]
    as_json = json.loads(written("jsonl", [row]))
    assert (as_json["agreement"], as_json["entropy"], as_json["members"]) == (0.5, 0.25, said)
    as_csv = next(csv.DictReader(io.StringIO(written("csv", [row]).decode())))
    assert (float(as_csv["agreement"]), json.loads(as_csv["members"])) == (0.5, said)
    assert "(one: cat 0.900, two: d\u00f6g 0.600, agreement 0.50)" in written("table", [row]).decode()
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(io.BytesIO(written("parquet", [row]))).to_pylist()[0]["members"] == said


def test_parquet_without_rows_has_its_columns() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(written("parquet", [])))
    assert table.num_rows == 0
    assert table.column_names[:3] == ["path", "status", "label"]


def test_parquet_is_streamed_in_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(rows_module, "ROW_GROUP", 5)
    file = parquet.ParquetFile(io.BytesIO(written("parquet", predicted())))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [5, 5, 2]


def test_parquet_goes_into_a_pipe() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    code = (
        "import sys; from pipelines.inference.prediction_rows import Prediction, write; "
        "write([Prediction(path='a', status='ok', label='x', probability=1.0)], "
        "format_name='parquet', class_names=['x'], out=None, stdout=sys.stdout.buffer)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert parquet.read_table(io.BytesIO(found.stdout)).column("path").to_pylist() == ["a"]


def test_table_has_one_line_a_row_that_no_terminal_minds() -> None:
    lines = written("table", predicted()).decode().removesuffix("\n").split("\n")
    assert len(lines) == 1 + len(predicted())
    assert all(line.isprintable() for line in lines)
    assert re.fullmatch(r"label +probability  path", lines[0])
    assert lines[1] == "odd,\\nname        0.750  plain.jpg  (d\u00f6g 0.250)"
    assert lines[2] == "unreadable            -  lost\\n.jpg  (there is no such file)"
    assert "stray\\xff\\x80byte.jpg" in lines[8]


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_is_whole_or_not_there(format_name: str, tmp_path: Path) -> None:
    if format_name == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "rows"
    out.write_bytes(b"before")

    def failing() -> Iterator[Prediction]:
        yield from predicted()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(failing(), format_name=format_name, class_names=NAMES, out=str(out), stdout=io.BytesIO())
    assert out.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["rows"]
    stdout = io.BytesIO()
    write(predicted(), format_name=format_name, class_names=NAMES, out=str(out), stdout=stdout)
    assert stdout.getvalue() == b""
    assert out.read_bytes() == written(format_name, predicted())


@pytest.mark.parametrize("format_name", ["table", "csv", "jsonl"])
def test_a_row_is_out_before_the_next_is_made(format_name: str) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)

    def slow() -> Iterator[Prediction]:
        yield Prediction(path="first", status="ok", label="cat", probability=1.0)
        assert b"first" in os.read(read_end, 10_000)
        yield Prediction(path="second", status="ok", label="cat", probability=1.0)

    with os.fdopen(write_end, "wb") as stdout:
        write(slow(), format_name=format_name, class_names=NAMES, out=None, stdout=stdout)
        assert not stdout.closed
    os.close(read_end)


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(predicted(), format_name="jsonl", class_names=NAMES, out=str(pipe), stdout=io.BytesIO())
    assert pipe.is_fifo()
    assert os.read(reader, 100_000) == written("jsonl", predicted())
    os.close(reader)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    write(predicted(), format_name="csv", class_names=NAMES, out=str(tmp_path / "link"), stdout=io.BytesIO())
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_size > 0


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        require("csv", str(tmp_path / "no" / "rows.csv"), terminal=False)
    with pytest.raises(UserError, match="is a folder"):
        require("csv", str(tmp_path), terminal=False)
    with pytest.raises(UserError, match="unknown format: `cvs`"):
        require("cvs", None, terminal=False)


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as raised:
        require("parquet", "rows.parquet", terminal=False)
    assert "headstart[parquet]" in raised.value.hint


def test_parquet_is_not_thrown_at_a_terminal() -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match="terminals"):
        require("parquet", None, terminal=True)


def test_the_formats_are_listed_without_numpy() -> None:
    code = (
        "import sys, pipelines.inference.prediction_rows; "
        "assert not {'numpy', 'pyarrow', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
