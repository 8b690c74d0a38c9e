"""Pieces of PromQL that alerts and dashboards share."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.tracking.registry import IDENTITY

TARGET = ("job", "instance", "namespace", "pod")
"""Labels of a scraped process: those that Prometheus adds. The last two are empty outside of Kubernetes."""

UNITS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""Milliseconds of PromQL's units of time, longest first."""


def listed(labels: Sequence[str]) -> str:
    """Labels as `on`, `by` and `group_left` take them."""
    return f"({', '.join(labels)})"


ON_TARGET = f"on {listed(TARGET)}"
ON_IDENTITY = f"on {listed(IDENTITY)}"


def of_stage(expression: str, chosen: str = "") -> str:
    """The series of a process, with the labels of the stage that it runs.

    Args:
        expression: Has one value per process, or several that other labels tell apart.
        chosen: Selector of the stages to keep, braces included; empty keeps all.
    """
    inner = expression if expression.isidentifier() else f"({expression})"
    return f"{inner} * {ON_TARGET} group_left {listed(IDENTITY)} thaw_stage_info{chosen}"


@dataclass(frozen=True)
class Clock:
    """Times of rules, which a test shortens.

    Attributes:
        scale: What every time is multiplied with.
    """

    scale: float = 1.0

    def span(self, seconds: float) -> str:
        """A duration as PromQL spells it, in the largest unit that leaves no remainder."""
        milliseconds = max(1, round(seconds * self.scale * 1000))
        unit = next(name for name, length in UNITS.items() if milliseconds % length == 0)
        return f"{milliseconds // UNITS[unit]}{unit}"

    def seconds(self, seconds: float) -> str:
        """A number of seconds, to compare with."""
        return f"{seconds * self.scale:g}"
