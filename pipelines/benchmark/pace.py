"""Seconds per epoch of one phase with the cache on, with only texts kept, and off, measured in turn."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.core.engine.cache import FeatureCache
from components.core.engine.features import FrozenFeatures
from components.core.engine.run import PhaseRun
from components.core.engine.step import Stepper
from components.core.engine.task import Prefix
from components.core.runtime import Cache
from pipelines.rehearsal import Rehearsal, shorten

CACHED, TEXTS, OFF = "cached", "texts", "off"
"""Everything frozen is kept; only what many samples share (texts); nothing."""

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "process": time.process_time}
"""`process` counts the processor's work for this program alone: for machines that others use at the same time."""

WARM_EPOCHS = 1
"""Epochs of each kind before the clock counts: allocators and threads settle."""


@dataclass(frozen=True)
class Pace:
    """What one phase takes, in seconds.

    Attributes:
        samples: Training samples per epoch.
        batch_size: Samples per step.
        views: Views per sample that filling evaluates.
        clock: Which of `CLOCKS` counted.
        fill: Evaluating everything frozen once, for all views.
        epochs: By kind, one entry per pair: training steps of a steady-state epoch, loading included.
    """

    phase: str
    samples: int
    batch_size: int
    views: int
    clock: str
    fill: float
    epochs: dict[str, list[float]]


@dataclass
class _Lane:
    """One way to get the frozen features; all lanes train the same model."""

    run: PhaseRun
    features: FrozenFeatures
    stepper: Stepper
    clock: Callable[[], float]

    def epoch(self) -> float:
        began = self.clock()
        for _ in self.run.steps(self.stepper, self.features):
            pass
        seconds = self.clock() - began
        self.run.next_epoch()
        return seconds


def measure(rehearsal: Rehearsal, name: str, pairs: int, folder: Path, clock: str = "wall") -> Pace:
    """Time a phase.

    Args:
        pairs: How often each kind is timed; the order turns around from one to the next.
        folder: Empty; of the phase's cache.
        clock: One of `CLOCKS`.
    """
    phase = rehearsal.phases[name]
    size = min(phase.batch_size, rehearsal.samples)
    epochs = 3 * (WARM_EPOCHS + pairs)
    run = rehearsal.run(name, shorten(phase, batch_size=size, epochs=epochs))
    settings = Cache(dir=folder, max_gb=rehearsal.runtime.cache.max_gb, dtype=rehearsal.runtime.cache.dtype)
    count = CLOCKS[clock]
    began = count()
    cached = run.frozen("train", FeatureCache(settings))
    fill = count() - began
    lanes = {
        CACHED: _lane(run, cached, count),
        TEXTS: _lane(run, run.frozen("train", FeatureCache(settings), is_shared), count),
        OFF: _lane(run, run.frozen("train", None), count),
    }
    for lane in lanes.values():
        for _ in range(WARM_EPOCHS):
            lane.epoch()
    return Pace(name, rehearsal.samples, size, phase.views, clock, fill, alternate(lanes, pairs))


def is_shared(prefix: Prefix) -> bool:
    """Is it evaluated once for many samples, as texts are?"""
    return prefix.table is not None


def _lane(run: PhaseRun, features: FrozenFeatures, clock: Callable[[], float]) -> _Lane:
    return _Lane(run, features, run.stepper(features), clock)


class Lane(Protocol):
    """One of several ways to do the same work."""

    def epoch(self) -> float:
        """Do it once. Returns the seconds it took."""


def alternate(lanes: Mapping[str, Lane], pairs: int) -> dict[str, list[float]]:
    """Seconds by lane, over rounds in which each has its turn.

    Neighbours in time share the machine's mood, so ratios are taken within a round; turning the order around
    keeps a steady drift out of them.
    """
    seconds: dict[str, list[float]] = {kind: [] for kind in lanes}
    order: Sequence[str] = list(lanes)
    for number in range(pairs):
        for kind in order if number % 2 == 0 else reversed(order):
            seconds[kind].append(lanes[kind].epoch())
    return seconds
