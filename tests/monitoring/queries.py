"""Every expression of alerts and dashboards, and what it names."""

import re
from collections.abc import Iterator

from components.core.tracking.registry import METRICS
from pipelines.monitoring.alerts import alerts
from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.expression import TARGET, Clock

PROMETHEUS_OWN = {"up": frozenset(TARGET), "ALERTS": frozenset({"alertname", "alertstate", "severity"})}
"""Series that Prometheus makes, with labels that may be asked of them."""

WORDS = {"time", "bool", "on", "by", "and", "or", "unless", "group_left"}
FUNCTIONS = {
    *("rate", "changes", "last_over_time", "min_over_time", "avg_over_time", "quantile_over_time"),
    *("histogram_quantile", "sum", "max", "avg", "count", "topk"),
}

SERIES = {series: metric for metric in METRICS for series in metric.series()}


def queries() -> Iterator[tuple[str, str]]:
    """Where an expression stands, and the expression."""
    for alert in alerts(Clock()):
        yield alert.name, alert.expression
    for board in BOARDS:
        for panel in board.panels:
            for number, query in enumerate(panel.queries):
                yield f"{board.uid}: {panel.title} {number}", query.expression


def names(expression: str) -> set[str]:
    """Names of the series that an expression reads."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    bare = re.sub(r"\b(by|on|group_left) \([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS - FUNCTIONS


def matched(expression: str) -> Iterator[tuple[str, str]]:
    """Series and the labels that its selector asks for."""
    for series, selector in re.findall(r"([a-zA-Z_]\w*)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*[=!]~?", selector):
            yield series, label


def joined(expression: str) -> set[str]:
    """Labels that an expression groups or joins by."""
    lists = re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",")}
