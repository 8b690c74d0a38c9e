"""The report in a real browser, from a file and without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visits import CONTRAST, Visit

from components.core.report.render import render
from components.core.report.report import Report


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def visit(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    context = browser.new_context(offline=True, color_scheme=request.param, viewport={"width": 1280, "height": 900})
    yield Visit(context.new_page(), file.as_uri())
    context.close()


def test_it_opens_offline_whole_and_readable(visit: Visit) -> None:
    page = visit.page
    assert page.title() == "freqmedclip, size demo: evaluation"
    for section in ("summary", "previous", "curves", "labels", "confusion", "worst", "cases"):
        assert page.locator(f"#{section}").is_visible(), section
    assert page.locator("svg").bounding_box()["width"] > 400
    images = page.locator("img")
    assert images.count() == 16
    for index in range(images.count()):
        images.nth(index).scroll_into_view_if_needed()
        assert images.nth(index).evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert page.evaluate(CONTRAST) == []
    assert visit.complaints == []
    assert [url for url in visit.requests if url != visit.url and not url.startswith("data:")] == []


def test_cases_are_sorted_by_mouse_and_keyboard(visit: Visit) -> None:
    page = visit.page
    worst = visit.column("lesion_dice")
    assert worst[-2:] == ["undefined", "undefined"]
    assert worst[:-2] == sorted(worst[:-2], key=float)
    page.get_by_role("button", name="lesion_dice").click()
    best = visit.column("lesion_dice")
    assert best[:-2] == sorted(worst[:-2], key=float, reverse=True)
    assert best[-2:] == ["undefined", "undefined"]
    assert page.locator("#cases th[aria-sort=descending]").count() == 1
    page.get_by_role("button", name="case", exact=True).focus()
    page.keyboard.press("Enter")
    names = visit.column("case")
    assert [name for name in names if name.startswith("case")] == [f"case {i}" for i in range(12) if i != 3]
    assert page.locator("#sorted").inner_text() == "Sorted by case, ascending"
    assert visit.complaints == []


def test_a_case_leads_to_its_pictures(visit: Visit) -> None:
    link = visit.page.locator("#cases tbody a").first
    target = link.get_attribute("href")
    link.click()
    assert visit.page.locator(f"article{target}").is_visible()


def test_a_narrow_window_does_not_scroll_sideways(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 380, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 380
