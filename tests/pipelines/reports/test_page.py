"""The page of a run: complete, harmless whatever names are in it, and in need of nothing from anywhere."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipelines.report import report
from pipelines.runs.manifest import RunRequest
from pipelines.runs.read_manifest import read_manifest, write_manifest
from tests.pipelines.reports.made import make_run
from tests.specs import train_spec

HOSTILE = ("<script>alert(1)</script>", "a \"quoted\" & 'b'", "\u202eright to left", "x" * 300, "{{ 7 * 7 }}", "ok")
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """The elements of a page, with what stands between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def page_of(run: Path) -> Page:
    return Page(report(str(run)).read_text(encoding="utf-8"))


def test_the_page_has_its_sections_and_every_link_leads_to_one(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, ("cat", "dog", "fox")))
    assert page.open == []
    headings = [tag for tag, _ in page.tags if tag in ("h1", "h2")]
    assert headings.count("h1") == 1 and headings.count("h2") >= 6
    links = [link for link in page.values("href") if link.startswith("#")]
    assert links and {link.removeprefix("#") for link in links} <= set(page.values("id"))
    # 3 of 12 are wrong, one of each class, and each is shown.
    assert "75.0 % of 12 images" in page.text
    alternatives = page.values("alt")
    assert [sum(text == f"{name}, predicted as {other}" for text in alternatives) for name, other in PAIRS] == [1, 1, 1]


PAIRS = (("cat", "dog"), ("dog", "fox"), ("fox", "cat"))


def test_nothing_is_asked_for_from_anywhere_and_nothing_runs(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, HOSTILE))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "form", "base"}
    assert all(source.startswith("data:image/") for source in page.values("src"))
    assert all(link.startswith("#") for link in page.values("href"))
    policy = next(fields["content"] for tag, fields in page.tags if fields.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'") and "script-src" not in policy
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    text = report(str(tmp_path / "run")).read_text(encoding="utf-8")
    # The plots clip their lines by shapes of the page itself.
    assert text.count("url(") == text.count("url(#") and "@import" not in text


def test_names_are_text_whatever_they_are(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, HOSTILE))
    assert "<script>alert(1)</script>" in page.text and "{{ 7 * 7 }}" in page.text
    assert "a \"quoted\" & 'b'" in page.text
    assert "\u202e" not in page.text and r"\u202eright to left" in page.text
    assert "x" * 300 in page.text


def test_the_command_that_makes_the_run_is_quoted_for_a_shell(tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog"))
    manifest = read_manifest(run)
    spec = train_spec(data="my photos/<b>", out="runs/it's", backbone="vgg16", fine_tune="2", epochs=7)
    (run / "run.json").unlink()
    write_manifest(run, replace(manifest, spec=RunRequest(train=spec)))
    words = ["headstart", "train", "my photos/<b>", "--backbone", "vgg16", "--epochs", "7", "--fine-tune", "2"]
    assert shlex.join([*words, "--out", "runs/it's"]) in page_of(run).text


def test_an_image_that_changed_or_went_is_not_shown_as_what_was_judged(tmp_path: Path) -> None:
    run = make_run(tmp_path, ("cat", "dog"))
    before = len(page_of(run).values("src"))
    (tmp_path / "photos" / "0-0.png").unlink()
    (tmp_path / "photos" / "1-0.png").write_bytes((tmp_path / "photos" / "1-1.png").read_bytes())
    page = page_of(run)
    assert len(page.values("src")) == before - 2
    assert page.text.count("the file is gone or changed") == 2


@pytest.mark.parametrize(("count", "tested"), [(2, None), (1000, None), (5, 4)])
def test_few_and_many_classes_and_one_without_images(count: int, tested: int | None, tmp_path: Path) -> None:
    names = tuple(f"class {number}" for number in range(count))
    run = make_run(tmp_path, names, per_class=2, classes_tested=tested)
    page = page_of(run)
    assert page.open == []
    assert all(name in page.text for name in names)
    assert ("no images here" in page.text) is (tested is not None)
    assert (run / "report.html").stat().st_size < 3_000_000


def test_the_plots_take_their_ink_from_the_page(tmp_path: Path) -> None:
    text = report(str(make_run(tmp_path, ("cat", "dog")))).read_text(encoding="utf-8")
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(plots) == 2
    for plot in plots:
        assert "currentColor" in plot and "var(--good)" in plot and "#01020" not in plot and "<script" not in plot
