"""Alerts and dashboards ask for what the registry has, and the registry has nothing that nobody looks at."""

import re
from pathlib import Path

import pytest

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.alerts import alerts
from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.expression import TARGET, Clock
from tests.monitoring.queries import PROMETHEUS_OWN, SERIES, joined, matched, names, queries

ROOT = Path(__file__).parents[2]
QUERIES = dict(queries())
LABELS = {*IDENTITY, *TARGET, *(label for metric in SERIES.values() for label in metric.labels), "alertname"}


@pytest.mark.parametrize("where", QUERIES)
def test_every_series_is_in_the_registry(where: str) -> None:
    found = names(QUERIES[where])
    assert found
    assert found <= SERIES.keys() | PROMETHEUS_OWN.keys()


@pytest.mark.parametrize("where", QUERIES)
def test_every_label_exists(where: str) -> None:
    for series, label in matched(QUERIES[where]):
        own = PROMETHEUS_OWN.get(series) or frozenset((*SERIES[series].labels, *TARGET))
        assert label in own or (series.startswith("thaw_outcome_") and label in IDENTITY), (series, label)
    assert joined(QUERIES[where]) <= LABELS


def test_what_is_asked_is_read_out_of_an_expression() -> None:
    text = 'sum by (pod) (rate(thaw_x_total{phase="a", stage=~"$stage"}[5m])) / thaw_y > 0.5 and on (job) up'
    assert names(text) == {"thaw_x_total", "thaw_y", "up"}
    assert set(matched(text)) == {("thaw_x_total", "phase"), ("thaw_x_total", "stage")}
    assert joined(text) == {"pod", "job"}


def test_every_metric_is_looked_at() -> None:
    read = {SERIES[name].name for text in QUERIES.values() for name in names(text) if name in SERIES}
    assert {metric.name for metric in SERIES.values()} - read == set()


def test_every_legend_names_labels() -> None:
    legends = [query.legend for board in BOARDS for panel in board.panels for query in panel.queries]
    assert {label for legend in legends for label in re.findall(r"{{(\w+)}}", legend)} <= LABELS


def test_every_alert_has_its_section_in_the_runbook() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert sections.keys() == {alert.name for alert in alerts(Clock())}
    for body in sections.values():
        assert [part for part in ("**Means**", "**Look**", "**Do**") if part not in body] == []


def test_alerts_are_unique_and_say_whose_they_are() -> None:
    every = alerts(Clock())
    assert len({alert.name for alert in every}) == len(every)
    for alert in every:
        assert re.fullmatch(r"Thaw[A-Z]\w+", alert.name)
        assert "$labels.pipeline" in alert.summary
        assert alert.explanation.endswith(".")


@pytest.mark.parametrize(
    ("seconds", "scale", "span"),
    [(7200, 1, "2h"), (90, 1, "90s"), (600, 1, "10m"), (600, 0.01, "6s"), (60, 1 / 120, "500ms"), (1, 1e-9, "1ms")],
)
def test_a_clock_spells_durations_as_promql_does(seconds: float, scale: float, span: str) -> None:
    assert Clock(scale).span(seconds) == span


def test_a_clock_scales_what_is_compared_with() -> None:
    assert Clock(0.1).seconds(600) == "60"
