"""`report`: where the page goes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.report import report
from tests.pipelines.reports.made import make_run


def test_the_page_lies_in_the_run_or_where_it_is_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog"))
    assert report(str(run)) == run / "report.html"
    elsewhere = report(str(run), out=str(tmp_path / "page.html"))
    assert elsewhere.read_bytes() == (run / "report.html").read_bytes()


@pytest.mark.parametrize(("out", "words"), [("page.pdf", "not the name of a page"), ("no/such/page.html", "no folder")])
def test_a_place_that_cannot_be_is_refused(out: str, words: str, tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog"))
    with pytest.raises(UserError, match=words):
        report(str(run), out=str(tmp_path / out))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run"):
        report(str(tmp_path))


def test_damaged_predictions_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog"))
    (run / "answers.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"answers\.npz"):
        report(str(run))
    assert not (run / "report.html").exists()
