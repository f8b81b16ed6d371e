"""Rows are written as they come; a file is complete or missing; what cannot be written is refused before any work."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from models.errors import UserError
from pipelines.inference.prediction import Columns, Prediction
from pipelines.inference.prediction_rows import FORMATS, RowFormat
from pipelines.inference.write_rows import require_writable, write
from tests.pipelines.inference.test_prediction_rows import PLAIN, predictions, written


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_is_whole_or_not_there(format_name: str, tmp_path: Path) -> None:
    if format_name == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "rows"
    out.write_bytes(b"before")

    def failing() -> Iterator[Prediction]:
        yield from predictions()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(failing(), FORMATS[format_name], columns=PLAIN, out=str(out), stdout=io.BytesIO())
    assert out.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["rows"]
    stdout = io.BytesIO()
    write(predictions(), FORMATS[format_name], columns=PLAIN, out=str(out), stdout=stdout)
    assert stdout.getvalue() == b""
    assert out.read_bytes() == written(format_name, predictions())


@pytest.mark.parametrize("format_name", ["table", "csv", "jsonl"])
def test_a_row_is_out_before_the_next_is_made(format_name: str) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)

    def slow() -> Iterator[Prediction]:
        yield Prediction(path="first", status="ok", label="cat", probability=1.0)
        assert b"first" in os.read(read_end, 10_000)
        yield Prediction(path="second", status="ok", label="cat", probability=1.0)

    with os.fdopen(write_end, "wb") as stdout:
        write(slow(), FORMATS[format_name], columns=PLAIN, out=None, stdout=stdout)
        assert not stdout.closed
    os.close(read_end)


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(predictions(), FORMATS["jsonl"], columns=PLAIN, out=str(pipe), stdout=io.BytesIO())
    assert pipe.is_fifo()
    assert os.read(reader, 100_000) == written("jsonl", predictions())
    os.close(reader)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    write(
        predictions(),
        FORMATS["csv"],
        columns=PLAIN,
        out=str(tmp_path / "link"),
        stdout=io.BytesIO(),
    )
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_size > 0


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        require_writable(FORMATS["csv"], str(tmp_path / "no" / "rows.csv"), is_terminal=False)
    with pytest.raises(UserError, match="is a folder"):
        require_writable(FORMATS["csv"], str(tmp_path), is_terminal=False)


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError) as raised:
        require_writable(FORMATS["parquet"], "rows.parquet", is_terminal=False)
    assert "headstart[parquet]" in raised.value.hint


def test_parquet_is_not_thrown_at_a_terminal() -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match="terminals"):
        require_writable(FORMATS["parquet"], None, is_terminal=True)


def test_the_light_module_needs_no_numpy() -> None:
    code = (
        "import sys, pipelines.inference.write_rows; "
        "assert not {'numpy', 'pyarrow', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_new_format_is_one_entry(tmp_path: Path) -> None:
    def write_paths(rows: Iterable[Prediction], stream: BinaryIO, columns: Columns) -> None:
        stream.writelines(f"{row.path}\n".encode() for row in rows)

    toy = RowFormat(name="toy", write=write_paths, library="a_library_that_is_missing", extra="toy", is_text=False)
    with pytest.raises(UserError) as caught:
        require_writable(toy, None, is_terminal=False)
    assert caught.value.message == "the format `toy` needs a_library_that_is_missing, which is not installed"
    assert caught.value.hint == "install `headstart[toy]`"
    toy = RowFormat(name="toy", write=write_paths, is_text=False)
    with pytest.raises(UserError, match="`toy` is not for terminals"):
        require_writable(toy, None, is_terminal=True)
    require_writable(toy, str(tmp_path / "rows"), is_terminal=True)
    row = Prediction(path="a.jpg", status="ok", label="cat", probability=1.0)
    write([row], toy, columns=PLAIN, out=str(tmp_path / "rows"), stdout=io.BytesIO())
    assert (tmp_path / "rows").read_text() == "a.jpg\n"
