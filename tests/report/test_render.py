"""A report's text: everything is in it, nothing of the data is markup, and nothing is loaded."""

import dataclasses
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from components.core.metrics.summary import Estimate, summarise
from components.core.report.chart import COLOURS, draw
from components.core.report.picture import data_uri
from components.core.report.render import number, render, verdict
from components.core.report.report import Change, Curve, Report, SystemSummary, compare, ranked


class Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_every_section_is_there(report: Report) -> None:
    page = render(report)
    for text in ("Not for diagnosis", "Synthetic data", "Groups inferred", "sha256 4f1c09", "run 41", "one case only"):
        assert text in page
    ids = {attributes.get("id") for _, attributes in Tags(page).found}
    assert {"summary", "previous", "curves", "labels", "confusion", "worst", "cases"} <= ids
    assert all(f'<td class="{word}">' in page for word in ("better", "worse", "no-clear-change"))
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().split()


def test_data_are_never_markup(report: Report) -> None:
    for tag, attributes in Tags(render(report)).found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/")
        assert tag not in {"iframe", "object", "embed"}
        if tag == "a":
            assert str(attributes["href"]).startswith("#")


def test_the_policy_names_the_only_script(report: Report) -> None:
    page = render(report)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_a_report_is_a_function_of_its_values(report: Report) -> None:
    assert render(report) == render(report)


def test_a_bare_report_has_no_empty_sections() -> None:
    bare = Report(title="bare", facts={}, headline="dice", systems=[SystemSummary("x", {"dice": summarise([0.5])})])
    page = render(bare)
    ids = {attributes.get("id") for _, attributes in Tags(page).found}
    assert "summary" in ids
    assert not ids & {"previous", "curves", "labels", "confusion", "worst", "cases"}
    assert "Synthetic" not in page


def test_worst_cases_come_first_and_undefined_last(report: Report) -> None:
    scores = [case.scores["lesion_dice"] for case in ranked(report)]
    defined = [score for score in scores if not np.isnan(score)]
    assert defined == sorted(defined)
    assert np.isnan(scores[-2:]).all()
    turned = dataclasses.replace(report, lower_is_better=frozenset({"lesion_dice"}))
    scores = [case.scores["lesion_dice"] for case in ranked(turned)]
    assert scores[:10] == sorted(defined, reverse=True)


def test_only_so_many_cases_are_shown_with_pictures(report: Report) -> None:
    articles = [tag for tag, _ in Tags(render(report)).found if tag == "article"]
    assert len(articles) == report.max_panels


def test_comparison_pairs_shared_cases_only() -> None:
    now = {"a": {"dice": 0.5}, "b": {"dice": 0.7}, "new": {"dice": 0.0}}
    before = {"a": {"dice": 0.4}, "b": {"dice": 0.5}, "gone": {"dice": 1.0}}
    (change,) = compare(now, before, {"a": "p", "b": "q", "new": "r"})
    assert change.difference.n == 2
    assert change.difference.mean == pytest.approx(0.15)
    assert change.now.mean == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("low", "high", "lower", "expected"),
    [
        (0.1, 0.2, False, "better"),
        (-0.2, -0.1, False, "worse"),
        (0.1, 0.2, True, "worse"),
        (-0.2, -0.1, True, "better"),
        (-0.1, 0.2, False, "no clear change"),
        (None, None, False, "no clear change"),
    ],
)
def test_verdicts(low: float | None, high: float | None, lower: bool, expected: str) -> None:
    estimate = Estimate(n=5, undefined=0, mean=0.0, sd=0.1, low=low, high=high)
    names = frozenset({"m"}) if lower else frozenset[str]()
    assert verdict(Change("m", estimate, estimate, estimate), names) == expected


def test_numbers() -> None:
    assert [number(value) for value in (None, float("nan"), 0.12345, -0.5, 1234.6)] == [
        "undefined",
        "undefined",
        "0.123",
        "-0.500",
        "1235",
    ]


@pytest.mark.parametrize(("side", "kind", "kept"), [(64, "png", 64), (200, "jpeg", 200), (900, "jpeg", 320)])
def test_pictures_come_back_from_their_uri(side: int, kind: str, kept: int) -> None:
    picture = np.zeros((side, side // 2, 3), dtype=np.uint8)
    picture[:, :, 0] = 200  # red
    head, data = data_uri(picture).split(",")
    assert head == f"data:image/{kind};base64"
    decoded = cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (kept, kept // 2, 3)
    assert abs(int(decoded[kept // 2, kept // 4, 2]) - 200) < 8


def test_a_float_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        data_uri(np.zeros((4, 4, 3)))  # type: ignore[arg-type]


def test_the_chart_escapes_names_and_takes_the_pages_colour() -> None:
    svg = draw([Curve("<b>phase</b>", "a < b & $c$", [1, 2, 3], [1.0, float("nan"), 2.0])])
    assert "<b>" not in svg
    assert "a &lt; b &amp; $c$" in svg
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert svg.startswith("<svg")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("page", ["#ffffff", "#12181e"])
def test_lines_stand_out_on_both_pages(page: str) -> None:
    for colour in COLOURS:
        high, low = sorted([luminance(colour), luminance(page)], reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3, colour
