"""The comparisons of a study as one picture: differences with their intervals, beside the systems compared."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipelines.study.results import LAST_PHASE
from pipelines.study.sheets import heading
from pipelines.table import in_order

INK, MUTED, MARK = "#1d2733", "#9aa5b1", "#2f7fc1"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDTH, ROW, FRAME = 8.4, 0.32, 1.3
"""Inches: of the picture, of one row, and of a panel's title and axis."""
DPI = 150


def paint(results: Mapping[str, Any]) -> bytes:
    """The picture as PNG: a panel per metric that differences are of, and one with the headline of every variant."""
    panels = [*_differences(results), *_levels(results)]
    with mpl.rc_context(STYLE):
        heights = [FRAME + ROW * max(1, len(rows)) for _, rows, _ in panels]
        figure = Figure(figsize=(WIDTH, sum(heights) or FRAME), layout="constrained")
        figure.suptitle(heading(results), x=0.01, ha="left", fontweight="bold")
        if panels:
            axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
            for one, (title, rows, zero) in zip(axes, panels, strict=True):
                _rows(one, rows, title, zero)
            axes[-1].set_xlabel("line: 95 % interval; small dots: single seeds")
        return png(figure)


def png(figure: Figure) -> bytes:
    """A figure's bytes, the same for the same figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


Panel = tuple[str, list[tuple[str, Mapping[str, Any]]], bool]
"""Title, estimate by label, and whether 0 means that there is no difference."""


def _differences(results: Mapping[str, Any]) -> list[Panel]:
    """Differences of unlike metrics cannot share an axis."""
    by_metric: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for name, found in results["measures"].items():
        label = found["metric"] if found["stage"] == "evaluate" else f"{found['metric']} of {found['stage']}"
        by_metric.setdefault(label, []).append((name, found))
    return [(f"difference in {metric}", rows, True) for metric, rows in by_metric.items()]


def _levels(results: Mapping[str, Any]) -> list[Panel]:
    rows = [
        (variant, systems[LAST_PHASE])
        for variant, systems in results["systems"].items()
        if LAST_PHASE in in_order(systems)
    ]
    return [(f"{results['headline']} of {LAST_PHASE} on the test split", rows, False)] if rows else []


def _rows(axes: Axes, rows: Sequence[tuple[str, Mapping[str, Any]]], title: str, zero: bool) -> None:
    """One line per estimate, the first on top: its interval, its value, and small dots for the seeds."""
    axes.set_title(title, loc="left", fontsize=9)
    if zero:
        axes.axvline(0, color=MUTED, linewidth=1, zorder=0)
    for place, (_, found) in enumerate(rows):
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [place, place], color=MARK, linewidth=2, solid_capstyle="round")
        for value in found["seeds"].values():
            axes.plot(value, place + 0.22, marker=".", markersize=4, color=MUTED, linestyle="none")
        if found["mean"] is not None:
            axes.plot(found["mean"], place, marker="o", markersize=6, color=MARK, linestyle="none")
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=MUTED, alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
