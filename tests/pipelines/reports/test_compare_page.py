"""The page of several runs: what each says of the same images, and whether a difference is more than chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.compare import compare
from tests.pipelines.reports.made import make_run
from tests.pipelines.reports.test_page import HOSTILE, Page


def two_runs(folder: Path, names: tuple[str, ...], *, per_class: int = 4) -> list[str]:
    """Two runs on the same images: one is wrong on the first image of each class, the other on none of them."""
    first = make_run(folder, names, per_class=per_class)
    second = make_run(folder / "other", names, per_class=per_class, photos=folder / "photos", all_right=True)
    return [str(first), str(second)]


def test_the_page_shows_where_two_runs_differ(tmp_path: Path) -> None:
    names = ("ant", "bat", "cat", "dog", "elk", "fox")
    runs = two_runs(tmp_path, names, per_class=8)
    rows = compare(runs, speed=False, html=str(tmp_path / "page.html"))
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.open == []
    links = [link for link in page.values("href") if link.startswith("#")]
    assert links and {link.removeprefix("#") for link in links} <= set(page.values("id"))
    # One image of each class is wrong in the first run alone.
    assert sorted(page.values("alt")) == [f"{name}: {label}-0.png" for label, name in enumerate(names)]
    difference = rows[1].accuracy_difference
    assert difference is not None and difference.is_clear and difference.value == pytest.approx(1 / 8)
    assert "accuracy +12.5 points" in page.text and "more than chance explains" in page.text
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("url(") == text.count("url(#") and "<script" not in text
    assert all(source.startswith("data:image/") for source in page.values("src"))


def test_runs_that_say_the_same_are_said_not_to_differ(tmp_path: Path) -> None:
    runs = [str(make_run(tmp_path, ("cat", "dog")))]
    runs.append(str(make_run(tmp_path / "other", ("cat", "dog"), photos=tmp_path / "photos")))
    compare(runs, speed=False, html=str(tmp_path / "page.html"))
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    # Both folders are called `run`.
    assert f"No run is clearly better or worse than {runs[0]}." in page.text
    assert "Where they differ" not in page.text and page.values("alt") == []


def test_names_are_text_whatever_they_are(tmp_path: Path) -> None:
    compare(two_runs(tmp_path, HOSTILE), speed=False, html=str(tmp_path / "page.html"))
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "<script>alert(1)</script>" in page.text and "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in page.text and r"\u202eright to left" in page.text


def test_one_run_has_a_page_too(tmp_path: Path) -> None:
    compare([str(make_run(tmp_path, ("cat", "dog")))], speed=False, html=str(tmp_path / "page.html"))
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.open == [] and "1 run compared" in page.text and "Difference from" not in page.text


def test_a_place_that_cannot_be_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the name of a page"):
        compare(["no-such-run"], html=str(tmp_path / "page.pdf"))
