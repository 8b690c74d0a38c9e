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
from components.core.report.picture import data_uri
from components.core.report.report import Case, Change, Report, ranked

TEMPLATES = Path(__file__).parent / "templates"
UNDEFINED = "undefined"


@dataclass(frozen=True)
class Panel:
    """One case with its pictures as data URIs."""

    anchor: str
    case: Case
    pictures: Mapping[str, str]


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
    return environment.get_template("report.html").render(
        report=report,
        cases=cases,
        metrics=_ordered(report, [name for system in report.systems for name in system.metrics]),
        case_metrics=_ordered(report, [name for case in cases for name in case.scores]),
        label_metrics=_ordered(report, [name for row in report.by_label.values() for name in row]),
        changes=sorted(report.previous.changes, key=lambda c: c.metric != report.headline) if report.previous else (),
        best=_best(report),
        kinds=list(dict.fromkeys(system.kind for system in report.systems)),
        panels=_panels(cases, report.max_panels),
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


def _panels(cases: Sequence[Case], limit: int) -> dict[str, Panel]:
    """By case id, in the cases' order: those that have pictures, up to the limit."""
    shown = [case for case in cases if case.pictures][:limit]
    return {
        case.id: Panel(f"case-{index}", case, {caption: data_uri(p) for caption, p in case.pictures.items()})
        for index, case in enumerate(shown)
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
