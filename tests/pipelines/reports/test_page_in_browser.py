"""The pages in a real browser: what it asks for, what it says on the console, whether it fits a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.report import report
from tests.pipelines.reports.made import make_run
from tests.pipelines.reports.test_audit_page import make_page
from tests.pipelines.reports.test_page import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium."""
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip("needs a Chromium of the distribution, such as Debian's package `chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["run", "audit"])
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run, and that of an audit, with hostile names."""
    if request.param == "audit":
        return make_page(tmp_path_factory.mktemp("made"), HOSTILE)
    return report(str(make_run(tmp_path_factory.mktemp("made"), HOSTILE)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_asks_for_nothing_and_fits(browser: Browser, page_file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]  # a literal
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert [address for address in asked if not address.startswith("data:")] == [page_file.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    # Text against paper: at least 7 to 1 (WCAG 2.2, level AAA).
    assert contrast(*page.evaluate(COLOURS)) >= 7
    context.close()


def test_every_link_can_be_reached_by_keyboard_and_leads_to_its_section(browser: Browser, page_file: Path) -> None:
    page = browser.new_page()
    page.goto(page_file.as_uri())
    count = page.locator("nav a").count()
    assert count >= 5
    for number in range(count):
        page.keyboard.press("Tab")
        link = page.evaluate("document.activeElement.getAttribute('href')")
        assert link == page.locator("nav a").nth(number).get_attribute("href")
        assert page.locator(link).is_visible()
    page.close()


COLOURS = """(() => {
  const style = getComputedStyle(document.body);
  return [style.color, style.backgroundColor].map((text) => text.match(/\\d+/g).slice(0, 3).map(Number));
})()"""


def contrast(first: list[int], second: list[int]) -> float:
    """The contrast of two sRGB colours (WCAG 2.2, definition of contrast ratio)."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[int]) -> float:
    channels = [value / 255 for value in colour]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
