"""What a dashboard shows, as values: the JSON for Grafana and the picture without Grafana are both drawn from them."""

from dataclasses import dataclass
from typing import Literal

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.expression import of_stage

CHOSEN = "{" + ", ".join(f'{label}=~"${label}"' for label in IDENTITY) + "}"
"""Selector of what the reader chose at the top of a dashboard."""

RATE = "$__rate_interval"
"""Grafana's window for rates: long enough for the scrape interval and the zoom."""

WHO = "{{pipeline}} {{stage}} {{fold}} {{seed}}"
"""Legend of series of whole stages."""

Unit = Literal["short", "s", "bytes", "percentunit", "none"]


def chosen(expression: str) -> str:
    """Series of processes, of the chosen stages."""
    return of_stage(expression, CHOSEN)


@dataclass(frozen=True)
class Query:
    """One expression of a panel.

    Attributes:
        expression: PromQL, with the dashboard's variables in it.
        legend: Name of a series, in Grafana's braces.
    """

    expression: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture of a dashboard.

    Attributes:
        title: Its heading.
        description: What to look for.
        queries: What it draws.
        unit: Of the values, in Grafana's spelling.
        kind: Curves over time, or the present value of every series.
        logarithmic: Draw values on a logarithmic axis.
        words: Texts to show in the place of values.
        wide: Take the whole width, not half of it.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    kind: Literal["curves", "values"] = "curves"
    logarithmic: bool = False
    words: tuple[tuple[str, str], ...] = ()
    wide: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        uid: Its address in Grafana, and the name of its file.
        title: Its name in Grafana.
        description: Which question it answers.
        panels: Its pictures, in order.
    """

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
