"""The reliability diagram as one inline SVG that follows the page's colours."""

import matplotlib as mpl
from matplotlib.figure import Figure

from components.core.report.chart import COLOURS, INK, STYLE, svg
from components.core.report.reliability import Reliability

SIZE = (4.2, 4.2)
"""Inches."""
LARGEST = 220.0
"""Area of the fullest bin's point, square points."""


def draw_reliability(found: Reliability) -> str:
    """Accuracy over confidence, a point per bin as large as its cases are many, beside the diagonal of the honest."""
    fullest = max(found.count)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color=INK, alpha=0.4, linewidth=0.8, linestyle="--")
        axis.plot(found.confidence, found.accuracy, color=COLOURS[0], linewidth=1.2)
        areas = [LARGEST * count / fullest for count in found.count]
        axis.scatter(found.confidence, found.accuracy, s=areas, color=COLOURS[0], alpha=0.6, linewidths=0)
        axis.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), xlabel="confidence", ylabel="accuracy")
        axis.set_aspect("equal")
        axis.grid(visible=True, color=INK, alpha=0.12, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        return svg(figure)


def spoken(found: Reliability) -> str:
    """The diagram in words."""
    bins = zip(found.confidence, found.accuracy, found.count, strict=True)
    parts = [f"confidence {sure:.2f}, accuracy {right:.2f}, {count} cases" for sure, right, count in bins]
    return "Reliability by bin of confidence. " + "; ".join(parts)
