"""From seconds to ratios: the median over pairs with its range, and the epoch from which the cache pays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.benchmark.pace import CACHED, OFF, TEXTS, Pace


@dataclass(frozen=True)
class Ratio:
    """How many times faster, over pairs measured next to each other.

    Attributes:
        median: Over the pairs.
        low: Least.
        high: Greatest.
        target: At least this is asked for; None where nothing is.
    """

    median: float
    low: float
    high: float
    target: float | None = None

    @property
    def met(self) -> bool:
        """Does the median reach the target?"""
        return self.target is None or self.median >= self.target

    def __str__(self) -> str:
        text = f"{self.median:.2f}x ({self.low:.2f} to {self.high:.2f})"
        return text if self.target is None else f"{text}, {'at least' if self.met else 'BELOW'} {self.target:g}x"


@dataclass(frozen=True)
class Target:
    """What the cache is expected to save at the sizes of BiomedCLIP."""

    all: float
    vision: float


TARGETS = {"warmup": Target(all=5.0, vision=4.0), "partial_unfreeze": Target(all=3.0, vision=2.2)}
"""By phase, for `full` on a CPU; smaller towers have less to save."""


@dataclass(frozen=True)
class Saving:
    """What the cache saves in one phase.

    Attributes:
        all: Against evaluating every frozen tower for every sample in every step.
        vision: The same with texts kept on both sides: what images alone save.
        break_even: First epoch after which the cached run is ahead, filling included; None for never.
    """

    pace: Pace
    all: Ratio
    vision: Ratio
    break_even: int | None


def saving(pace: Pace, target: Target | None) -> Saving:
    """Ratios of a phase.

    Args:
        target: None where none is set for this phase and size.
    """
    cached = pace.epochs[CACHED]
    return Saving(
        pace=pace,
        all=ratio(pace.epochs[OFF], cached, target.all if target else None),
        vision=ratio(pace.epochs[TEXTS], cached, target.vision if target else None),
        break_even=break_even(pace.fill, median(cached), median(pace.epochs[OFF])),
    )


def ratio(slow: Sequence[float], fast: Sequence[float], target: float | None = None) -> Ratio:
    """Ratio pair by pair."""
    found = [a / b for a, b in zip(slow, fast, strict=True)]
    return Ratio(median(found), min(found), max(found), target)


def break_even(fill: float, cached: float, off: float) -> int | None:
    """Least number n of epochs with fill + n cached <= n off.

    Args:
        fill: Seconds, once.
        cached: Seconds per epoch.
        off: Seconds per epoch.
    """
    if off <= cached:
        return None
    return max(1, math.ceil(fill / (off - cached)))
