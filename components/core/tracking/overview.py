"""The two tables that frame a run: what is about to happen, and what came of it. Each fits one screen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from components.core.tracking.progress import show_duration

MOST_ROWS = 8
"""Rows a listing may take before the rest is summed up in one."""


@dataclass(frozen=True)
class RunPlan:
    """What a stage is about to do.

    Attributes:
        recipe: Name of the recipe.
        stage: Name of the stage.
        data: One line about the samples.
        trainable: Trainable parameters by group.
        frozen: Frozen parameters.
        steps: Optimiser steps planned.
        device: Device and precision.
        cache: One line about the cache of frozen features; empty where there is none.
        disk_bytes: Estimated need of the outputs and checkpoints.
        free_bytes: Free space where they go; None if unknown.
        resume: Where it goes on from; empty for a fresh start.
        rates: Learning rate by group, before any schedule.
    """

    recipe: str
    stage: str
    data: str
    trainable: Mapping[str, int] = field(default_factory=dict)
    frozen: int = 0
    steps: int = 0
    device: str = ""
    cache: str = ""
    disk_bytes: int | None = None
    free_bytes: int | None = None
    resume: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """What a stage has done.

    Attributes:
        stage: Name of the stage.
        ended: One line: finished, or why not.
        seconds: Wall time.
        steps: Optimiser steps of this process.
        samples: Samples trained on by this process.
        wait_seconds: Time of these steps spent waiting for data.
        cache_hits: Frozen features read instead of computed.
        cache_misses: Frozen features computed.
        checkpoints: Checkpoints committed.
        metrics: Final ones, else those of the last validation.
    """

    stage: str
    ended: str
    seconds: float
    steps: int = 0
    samples: int = 0
    wait_seconds: float = 0.0
    cache_hits: int = 0
    cache_misses: int = 0
    checkpoints: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


def plan_table(plan: RunPlan) -> Table:
    """The table shown before a stage starts."""
    return _table(f"{plan.recipe} · {plan.stage}", _plan_rows(plan))


def result_table(result: RunResult) -> Table:
    """The table shown when a stage has ended."""
    return _table(result.stage, _result_rows(result))


def show_bytes(count: int) -> str:
    """Bytes in decimal units with three digits: `950 B`, `1.23 GB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"


def _plan_rows(plan: RunPlan) -> Iterator[tuple[str, str]]:
    yield "data", plan.data
    if plan.device:
        yield "device", plan.device
    if plan.trainable:
        total = sum(plan.trainable.values())
        yield "trainable", f"{total:,} of {total + plan.frozen:,} parameters"
        rates = {name: f" at {rate:.3g}" for name, rate in plan.rates.items()}
        yield from _listing({name: f"{count:,}{rates.get(name, '')}" for name, count in plan.trainable.items()})
    if plan.steps:
        yield "steps", f"{plan.steps:,}"
    yield "cache", plan.cache or "off: what is frozen is computed in every step"
    if plan.disk_bytes is not None:
        free = "" if plan.free_bytes is None else f" ({show_bytes(plan.free_bytes)} free)"
        yield "disk", f"about {show_bytes(plan.disk_bytes)}{free}"
    yield "resume", plan.resume or "from the start"


def _result_rows(result: RunResult) -> Iterator[tuple[str, str]]:
    yield "ended", result.ended
    yield "time", show_duration(result.seconds)
    if result.steps:
        rate = result.samples / result.seconds if result.seconds > 0 else 0.0
        yield "steps", f"{result.steps:,} ({rate:.1f} samples/s, {show_duration(result.wait_seconds)} waiting for data)"
    read = result.cache_hits + result.cache_misses
    if read:
        yield "cache", f"{result.cache_hits:,} of {read:,} frozen features read, the others computed"
    if result.checkpoints:
        yield "checkpoints", f"{result.checkpoints:,} saved"
    if result.metrics:
        yield "metrics", ""
        yield from _listing({name: f"{value:.4f}" for name, value in result.metrics.items()})


def _listing(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in list(values.items())[:MOST_ROWS]:
        yield f"  {name}", value
    if len(values) > MOST_ROWS:
        yield "  …", f"and {len(values) - MOST_ROWS} more"


def _table(title: str, rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))  # Text: brackets in a path are not markup
    return table
