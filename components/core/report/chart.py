"""Training curves as one inline SVG that follows the page's colours."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from components.core.report.report import Curve

INK = "#010203"
"""Stands for the page's text colour until the SVG is written: then it becomes `currentColor`."""

COLOURS = ("#2f7fc1", "#c2571a", "#2b8a57", "#a8559f", "#8a7300", "#5b6ee1")
"""By phase; each has a contrast of at least 3 on white and on the dark background."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thaw",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
COLUMNS = 3
PANEL = (4.6, 2.7)
"""Inches."""


def draw(curves: Sequence[Curve]) -> str:
    """One panel per name, phases one after the other and told apart by colour, as an `<svg>` element."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    phases = list(dict.fromkeys(curve.phase for curve in curves))
    colours = {phase: COLOURS[index % len(COLOURS)] for index, phase in enumerate(phases)}
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.35), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for axis, name in zip(axes, names, strict=False):
            _panel(axis, [curve for curve in curves if curve.name == name], colours)
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        handles = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=6, frameon=False)
        return svg(figure)


def svg(figure: Figure) -> str:
    """A figure drawn in `STYLE` as an `<svg>` element that takes the page's text colour."""
    stream = io.StringIO()
    blank = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", transparent=True, metadata=blank)
    text = stream.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def _panel(axis: Axes, curves: Sequence[Curve], colours: dict[str, str]) -> None:
    start = 0.0
    for curve in curves:
        x = [start + position for position in curve.x]
        # A single point is no line: mark every point of short curves.
        marker = "o" if len(x) < 12 else ""
        axis.plot(x, curve.y, color=colours[curve.phase], label=curve.phase, linewidth=1.6, marker=marker, markersize=3)
        start = max(x, default=start)
        if curve is not curves[-1]:
            axis.axvline(start, color=INK, alpha=0.25, linewidth=0.8, linestyle=":")
    axis.set_title(curves[0].name, fontsize=10, loc="left")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axis.set_xlabel("epoch")
    axis.grid(visible=True, color=INK, alpha=0.12, linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
