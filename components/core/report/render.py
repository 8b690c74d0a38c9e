"""From a report's values to one HTML file that loads nothing and runs one small script of its own."""

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components.core.metrics.summary import Estimate
from components.core.report.chart import draw
from components.core.report.diagram import draw_reliability, spoken
from components.core.report.picture import data_uri
from components.core.report.report import Case, Change, Report, ranked

TEMPLATES = Path(__file__).parent / "templates"
UNDEFINED = "undefined"
CLASS = ":"
"""In a metric's name, between a measure and the class it is of: those have a table of their own."""


@dataclass(frozen=True)
class Panel:
    """One case with its pictures as data URIs, and what it was mistaken for."""

    anchor: str
    case: Case
    pictures: Mapping[str, str]
    predicted: str = ""


def render(report: Report) -> str:
    """The report as one HTML document.

    Everything that comes from data is escaped, and the page's own policy forbids scripts other than its own and
    every connection.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, interval=interval, signed=signed, sortable=sortable, verdict=verdict)
    # The files are part of the program, not data: they go in unescaped.
    script = Markup((TEMPLATES / "sort.html").read_text(encoding="utf-8").strip())  # noqa: S704
    style = Markup((TEMPLATES / "style.html").read_text(encoding="utf-8").strip())  # noqa: S704
    cases = ranked(report)
    panels = _panels(report, cases)
    return environment.get_template("report.html").render(
        report=report,
        cases=cases,
        metrics=_ordered(report, [n for system in report.systems for n in system.metrics if CLASS not in n]),
        case_metrics=_ordered(report, [name for case in cases for name in case.scores]),
        label_metrics=_ordered(report, [name for row in report.by_label.values() for name in row]),
        class_metrics=list(dict.fromkeys(name for row in report.by_class.values() for name in row)),
        changes=sorted(report.previous.changes, key=lambda c: c.metric != report.headline) if report.previous else (),
        best=_best(report),
        kinds=list(dict.fromkeys(system.kind for system in report.systems)),
        panels=panels,
        panel_groups=_panel_groups(report, panels),
        diagram=Markup(draw_reliability(report.reliability)) if report.reliability else "",  # noqa: S704
        diagram_summary=spoken(report.reliability) if report.reliability else "",
        chart=Markup(draw(report.curves)) if report.curves else "",  # noqa: S704  matplotlib escapes its texts
        chart_summary=_spoken(report),
        shades=_shades(report),
        style=style,
        script=script,
        script_digest=b64encode(sha256(script.encode()).digest()).decode("ascii"),
    )


def number(value: float | None) -> str:
    """Three significant digits; `undefined` for None and NaN."""
    if value is None or math.isnan(value):
        return UNDEFINED
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def signed(value: float | None) -> str:
    """As `number`, with its sign."""
    return UNDEFINED if value is None else f"{value:+.3f}" if abs(value) < 10 else f"{value:+.4g}"


def interval(estimate: Estimate) -> str:
    """`low to high`, or nothing where there are too few cases for an interval."""
    return "" if estimate.low is None else f"{number(estimate.low)} to {number(estimate.high)}"


def sortable(value: float | None) -> str:
    """What the table's script sorts by: empty means undefined and stays last."""
    return "" if value is None or math.isnan(value) else repr(float(value))


def verdict(change: Change, lower_is_better: frozenset[str]) -> str:
    """`better`, `worse`, or `no clear change` where the paired interval holds 0 or does not exist."""
    low, high = change.difference.low, change.difference.high
    if low is None or high is None or low <= 0 <= high:
        return "no clear change"
    return "better" if (low > 0) != (change.metric in lower_is_better) else "worse"


def _ordered(report: Report, names: Sequence[str]) -> list[str]:
    """Distinct names, the headline first."""
    return sorted(dict.fromkeys(names), key=lambda name: name != report.headline)


def _best(report: Report) -> dict[str, float]:
    """The best mean of every metric over the systems."""
    means: dict[str, list[float]] = {}
    for system in report.systems:
        for name, estimate in system.metrics.items():
            if estimate.mean is not None:
                means.setdefault(name, []).append(estimate.mean)
    return {name: min(all_) if name in report.lower_is_better else max(all_) for name, all_ in means.items()}


def _shown(report: Report, cases: Sequence[Case]) -> list[Case]:
    """Cases with pictures, up to the limit, in the order in which they are shown."""
    painted = {case.id: case for case in cases if case.pictures}
    if report.mistakes:
        named = [mistake.case for mistakes in report.mistakes.values() for mistake in mistakes]
        return [painted[one] for one in dict.fromkeys(named) if one in painted][: report.max_panels]
    return list(painted.values())[: report.max_panels]


def _panels(report: Report, cases: Sequence[Case]) -> dict[str, Panel]:
    """By case id."""
    taken = {one.case: one.predicted for mistakes in report.mistakes.values() for one in mistakes}
    return {
        case.id: Panel(
            anchor=f"case-{index}",
            case=case,
            pictures={caption: data_uri(picture) for caption, picture in case.pictures.items()},
            predicted=taken.get(case.id, ""),
        )
        for index, case in enumerate(_shown(report, cases))
    }


def _panel_groups(report: Report, panels: Mapping[str, Panel]) -> dict[str, list[Panel]]:
    """What is shown with pictures, by heading; without mistakes by class there is one group, without a heading."""
    if not report.mistakes:
        return {"": list(panels.values())}
    return {
        label: [panels[one.case] for one in mistakes if one.case in panels]
        for label, mistakes in report.mistakes.items()
    }


def _spoken(report: Report) -> str:
    """The chart in words, for those who do not see it: where each curve began and ended."""
    parts = [
        f"{curve.phase}, {curve.name}: from {number(curve.y[0])} to {number(curve.y[-1])}"
        for curve in report.curves
        if len(curve.y)
    ]
    return "Training curves. " + "; ".join(parts)


def _shades(report: Report) -> list[list[int]]:
    """Each confusion count as a share of its row, in percent."""
    if report.confusion is None:
        return []
    return [[round(100 * count / max(1, sum(row))) for count in row] for row in report.confusion.counts]
