"""A classifier's report, as text and in a real browser: matrix, classes, reliability, mistakes class by class."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from visits import CONTRAST, Visit

from components.core.metrics.classification import ece
from components.core.report.reliability import reliability
from components.core.report.render import render
from components.core.report.report import Report, ranked


@pytest.fixture(scope="module")
def file(classifier: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "report.html"
    path.write_text(render(classifier), encoding="utf-8")
    return path


@pytest.fixture(params=["light", "dark"])
def visit(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    context = browser.new_context(offline=True, color_scheme=request.param, viewport={"width": 1280, "height": 900})
    yield Visit(context.new_page(), file.as_uri())
    context.close()


def test_every_section_is_there_and_readable(visit: Visit) -> None:
    page = visit.page
    for section in ("summary", "classes", "confusion", "reliability", "worst", "cases"):
        assert page.locator(f"#{section}").is_visible(), section
        assert page.locator(f"nav a[href='#{section}']").count() == 1
    assert page.locator("#reliability svg").bounding_box()["width"] > 200
    assert "confidence" in page.locator("#reliability svg").text_content()
    assert page.evaluate(CONTRAST) == []
    assert visit.complaints == []
    assert [url for url in visit.requests if url != visit.url and not url.startswith("data:")] == []


def test_the_matrix_is_shaded_by_the_share_of_its_row(visit: Visit) -> None:
    cells = visit.page.locator("#confusion tbody tr").nth(2).locator("td")
    assert cells.all_inner_texts() == ["3 75 %", "1 25 %", "0 0 %"]
    colours = [cells.nth(n).evaluate("cell => getComputedStyle(cell).backgroundColor") for n in range(3)]
    assert len(set(colours)) == 3


def test_mistakes_stand_under_their_class_worst_first(visit: Visit, classifier: Report) -> None:
    groups = visit.page.locator("#worst h3").all_inner_texts()
    assert groups == list(classifier.mistakes)
    panels = visit.page.locator("#worst .panels").nth(1).locator("article")
    likely = [float(text.rsplit(" ", 1)[1]) for text in panels.locator("p").all_inner_texts()]
    assert len(likely) > 1
    assert likely == sorted(likely)
    assert "taken for healthy" in panels.first.inner_text()
    link = visit.page.locator("#cases tbody a").first
    target = link.get_attribute("href")
    link.click()
    assert visit.page.locator(f"article{target}").is_visible()


def test_a_narrow_window_does_not_scroll_sideways(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 380, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 380


def test_what_is_told_by_class_is_no_column_of_the_summary(classifier: Report) -> None:
    page = render(classifier)
    assert "precision:" not in page
    assert page.count("undefined in 7 draws") == 5
    assert '<th scope="col">ece <span class="small">less is better</span></th>' in page


def test_classes_without_mistakes_and_mistakes_without_pictures_are_said(classifier: Report) -> None:
    flawless = {**classifier.mistakes, "healthy": []}
    page = render(dataclasses.replace(classifier, mistakes=flawless))
    assert page.count("No case of this class was taken for another.") == 1
    assert "mistaken, none shown" in render(dataclasses.replace(classifier, max_panels=1))
    assert "<article" not in render(dataclasses.replace(classifier, max_panels=0))


def test_cases_are_ranked_by_the_ranking_and_not_by_the_headline(classifier: Report) -> None:
    likely = [case.scores["probability_of_truth"] for case in ranked(classifier)]
    assert likely == sorted(likely)
    heads = re.findall(r'aria-sort="ascending"[^>]*><button[^>]*>(\w+)', render(classifier))
    assert heads == ["probability_of_truth"]


def test_the_diagram_is_that_of_the_calibration_error() -> None:
    generator = np.random.Generator(np.random.Philox(0))
    evidence = {
        "truth": generator.integers(0, 3, 200).astype(np.float64),
        "probability": generator.dirichlet(np.ones(3), 200),
    }
    found = reliability(evidence)
    assert found is not None
    gaps = np.abs(np.asarray(found.confidence) - np.asarray(found.accuracy))
    assert np.average(gaps, weights=found.count) == pytest.approx(ece(evidence))
    apart = reliability({"truth": np.zeros(3), "probability": np.asarray([[0.9, 0.1], [0.98, 0.02], [0.1, 0.9]])})
    assert apart is not None
    assert (apart.confidence, apart.accuracy, apart.count) == ([pytest.approx(0.9), 0.98], [0.5, 1.0], [2, 1])
    assert reliability({"truth": evidence["probability"], "probability": evidence["probability"]}) is None
    assert reliability({}) is None
