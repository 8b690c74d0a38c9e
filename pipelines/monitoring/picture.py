"""A dashboard's panels drawn from a Prometheus: for a README, and where there is no Grafana."""

import math
import re
import textwrap
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.panel import RATE, Board, Panel, Query
from pipelines.monitoring.prometheus import Prometheus, Series

CAPTION = "Drawn from Prometheus by `thaw monitoring picture`: the panels' own queries, not a Grafana screenshot."
POINTS = 240
"""Points of a curve."""

SHORTEST_STEP = 1.0
RATE_SHARE = 30
"""A rate looks back over this part of the picture's time, and at least as far as `SHORTEST_RATE`."""

SHORTEST_RATE = 5.0
COLUMNS, PANEL_WIDTH, PANEL_HEIGHT = 2, 7.0, 3.0
LONGEST_GAP = 5
"""Points that may be missing before a curve breaks off."""

MOST_SERIES = 12
"""Named in a legend."""

UNITS: Mapping[str, tuple[float, str]] = {
    "s": (1, "s"),
    "bytes": (1 / 2**20, "MiB"),
    "percentunit": (100, "%"),
    "short": (1, ""),
    "none": (1, ""),
}
"""What to multiply values with, and what they then are."""


def draw(board: Board, prometheus: Prometheus, seconds: float, file: Path, stage: str = ".*") -> None:
    """Draw every panel of a dashboard that has data.

    Args:
        board: The dashboard.
        prometheus: Where its data is.
        seconds: How far to look back.
        file: PNG to write.
        stage: Regular expression of the stages to draw.

    Raises:
        BadInput: A query is refused.
        Temporary: Prometheus does not answer.
    """
    found = {panel: _results(panel, prometheus, seconds, stage) for panel in board.panels}
    full = [panel for panel in board.panels if found[panel]]
    rows = max(1, -(-len(full) // COLUMNS))
    figure = Figure(figsize=(COLUMNS * PANEL_WIDTH, rows * PANEL_HEIGHT + 0.8), layout="constrained")
    figure.suptitle(f"{board.title}: {board.description}", fontsize=13)
    figure.supxlabel(CAPTION, fontsize=9, color="0.4")
    places = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
    for place in places[len(full) :]:
        place.set_axis_off()
    began = time.time() - seconds
    for panel, place in zip(full, places, strict=False):
        place.set_title(panel.title, fontsize=10, loc="left")
        if panel.kind == "curves":
            _curves(place, panel, found[panel], began)
        else:
            _values(place, panel, found[panel])
    figure.savefig(file, dpi=110)


def filled(expression: str, window: float, stage: str = ".*") -> str:
    """An expression of a dashboard with values for its variables, as Grafana would put them.

    Args:
        expression: With variables.
        window: Seconds of a rate.
        stage: Regular expression of stages.
    """
    chosen = {**dict.fromkeys(IDENTITY, ".*"), "stage": stage}
    for name, value in chosen.items():
        expression = expression.replace(f'"${name}"', f'"{value}"')
    return expression.replace(RATE, f"{max(1, round(window))}s")


def _results(panel: Panel, prometheus: Prometheus, seconds: float, stage: str) -> list[tuple[str, Series]]:
    """The panel's series that have values, by their legend."""
    window = max(SHORTEST_RATE, seconds / RATE_SHARE)
    step = max(SHORTEST_STEP, seconds / POINTS)
    found = []
    for query in panel.queries:
        expression = filled(query.expression, window, stage)
        series = prometheus.last(expression, seconds, step) if panel.kind == "curves" else prometheus.now(expression)
        found += [(legend(query, one.labels), one) for one in series]
    return found


def legend(query: Query, labels: Mapping[str, str]) -> str:
    """A series' name, as Grafana makes it of the legend."""
    text = re.sub(r"{{\s*(\w+)\s*}}", lambda name: labels.get(name[1], ""), query.legend)
    return " ".join(text.split())


def broken(series: Series) -> Series:
    """The series with a value that is none in every gap, where no line may lead over what nobody measured."""
    pauses = sorted(later - earlier for earlier, later in pairwise(series.times))
    usual = pauses[len(pauses) // 2] if pauses else 0.0
    times, values = list(series.times[:1]), list(series.values[:1])
    for earlier, later, value in zip(series.times, series.times[1:], series.values[1:], strict=False):
        if later - earlier > LONGEST_GAP * usual:
            times.append(earlier + usual)
            values.append(math.nan)
        times.append(later)
        values.append(value)
    return Series(series.labels, tuple(times), tuple(values))


def _curves(place: Axes, panel: Panel, found: list[tuple[str, Series]], began: float) -> None:
    factor, unit = UNITS[panel.unit]
    for place_in_list, (name, series) in enumerate(found):
        shown = name if place_in_list < MOST_SERIES else None
        whole = broken(series)
        minutes = [(at - began) / 60 for at in whole.times]
        place.plot(minutes, [value * factor for value in whole.values], marker=".", markersize=2, label=shown)
    if panel.logarithmic:
        place.set_yscale("log")
    place.set_ylabel(unit)
    place.set_xlabel("minutes", fontsize=8)
    place.tick_params(labelsize=8)
    place.grid(alpha=0.3)
    place.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _values(place: Axes, panel: Panel, found: list[tuple[str, Series]]) -> None:
    factor, unit = UNITS[panel.unit]
    words = dict(panel.words)
    lines = []
    for name, series in found[:MOST_SERIES]:
        value = series.values[-1]
        shown = words.get(f"{value:g}", f"{value * factor:.4g} {unit}".strip())
        lines.append(f"{textwrap.shorten(name, 60)}   {shown}")
    place.text(0.02, 0.95, "\n".join(lines), va="top", fontsize=9, family="monospace", transform=place.transAxes)
    place.set_xticks([])
    place.set_yticks([])
