"""The report in a real browser, from a file and without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.core.report.render import render
from components.core.report.report import Report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
CONTRAST = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] / 255 + below[i] * (1 - top[3] / 255));
  const light = (rgb) => rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const chain = [];
    for (let e = element; e; e = e.parentElement) chain.unshift(rgba(getComputedStyle(e).backgroundColor));
    return chain.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = Array.from(element.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest("script, style, .visually-hidden, svg")) continue;
    const below = ground(element);
    const pair = [light(over(rgba(getComputedStyle(element).color), below)), light(below)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(element.className + " " + element.textContent.slice(0, 30) + " " + ratio.toFixed(2));
  }
  return poor;
}
"""


class Visit:
    """A page with what it complained of and what it asked for."""

    def __init__(self, page: "sync_api.Page", url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(url)
        self.url = url

    def column(self, name: str) -> list[str]:
        heads = self.page.locator("#cases thead th")
        index = next(i for i in range(heads.count()) if heads.nth(i).inner_text().strip().startswith(name))
        return self.page.locator(f"#cases tbody tr > :nth-child({index + 1})").all_inner_texts()


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(report), encoding="utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def visit(browser: "sync_api.Browser", file: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
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
