"""From per-case scores to the numbers that are published: means and statistics with intervals, differences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from components.core.metrics.statistic import Statistic, statistic_difference, summarise_statistics
from components.core.metrics.summary import Estimate, by_label, paired_difference, summarise_scores
from components.core.report.report import Confusion
from components.evaluate.system import System
from components.evaluate.values import AUGMENTED, PHASES, PROBES

Tables: TypeAlias = Mapping[str, Mapping[str, Estimate]]
"""Estimate by metric by system."""


def tabulate(systems: Sequence[System], statistics: Mapping[str, Statistic], seed: int, draws: int) -> Tables:
    """Means of the scores, and the statistics, of every system: what takes time, done once."""
    return {system.name: estimates(system, statistics, seed, draws) for system in systems}


def metrics(
    systems: Sequence[System],
    tables: Tables,
    models: Mapping[str, str],
    headline: str,
    seed: int,
    draws: int,
    statistics: Mapping[str, Statistic] | None = None,
    confusion: Confusion | None = None,
) -> dict[str, Any]:
    """Everything `metrics.json` holds.

    Args:
        tables: Of these systems.
        models: Digest of the model by phase.
        statistics: Metrics of the whole split, by name.
        confusion: Of the system that is shipped.

    Returns:
        `models`: as given; the export compares it with what it ships.
        `systems`: Estimate by metric by system: means of scores, and statistics. `views`: what was averaged, by
        system. `labels`: the scores broken down by label. `differences`: paired differences of the headline between
        consecutive systems of the recipe, and of its last phase to every other system, on the samples where both are
        defined. `confusion`: labels and counts, None where nothing is classified. `bars`: one row per label of the
        shipped system, for charts.
    """
    named = {system.name: system for system in systems}
    statistics = statistics or {}
    labels = {name: _by_label(system, seed, draws) for name, system in named.items()}
    return {
        "headline": headline,
        "models": dict(models),
        "systems": {name: _plain(table) for name, table in tables.items()},
        "views": {name: list(system.views) for name, system in named.items()},
        "labels": labels,
        "differences": {
            f"{a} - {b}": asdict(difference(named[a], named[b], headline, statistics, seed, draws))
            for a, b in _pairs(named)
        },
        "confusion": None if confusion is None else {"labels": list(confusion.labels), "counts": confusion.counts},
        "bars": _bars(labels[PHASES[-1]], tables[PHASES[-1]]),
    }


def estimates(system: System, statistics: Mapping[str, Statistic], seed: int, draws: int) -> dict[str, Estimate]:
    """Means of the scores, and the statistics; a statistic takes the place of a score of its name."""
    found = summarise_scores(system.scores, system.groups, seed, draws)
    return found | summarise_statistics(statistics, system.evidence, seed, draws)


def difference(
    system: System, reference: System, metric: str, statistics: Mapping[str, Statistic], seed: int, draws: int
) -> Estimate:
    """Paired difference of a metric, statistic or score, between two systems."""
    if metric in statistics:
        return statistic_difference(statistics[metric], system.evidence, reference.evidence, seed, draws)
    other = {case.id: case.scores.get(metric, float("nan")) for case in reference.cases}
    values = [case.scores.get(metric, float("nan")) for case in system.cases]
    against = [other[case.id] for case in system.cases]
    return paired_difference(values, against, system.groups, seed, draws)


def by_class(table: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of a table that are named `measure:class`, by class and measure."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in table.items():
        measure, colon, one = name.partition(":")
        if colon:
            found.setdefault(one, {})[measure] = value
    return found


def _pairs(systems: Mapping[str, System]) -> Iterator[tuple[str, str]]:
    last = PHASES[-1]
    yield from (("warmup", "untrained"), ("partial_unfreeze", "warmup"), (last, "partial_unfreeze"))
    yield from ((last, name) for name in systems if name not in {last, "partial_unfreeze", AUGMENTED})
    if AUGMENTED in systems:
        yield AUGMENTED, last
    if set(PROBES) <= set(systems):
        yield PROBES[1], PROBES[0]


def _bars(labels: Mapping[str, Mapping[str, Any]], table: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    """Mean scores of each label's cases, and its class's statistics."""
    classes = by_class(table)
    return [
        {"label": label}
        | {name: estimate["mean"] for name, estimate in labels.get(label, {}).items()}
        | {name: estimate.mean for name, estimate in classes.get(label, {}).items()}
        for label in sorted({*labels, *classes})
    ]


def _by_label(system: System, seed: int, draws: int) -> dict[str, Any]:
    labels = [case.label for case in system.cases]
    found = by_label(system.scores, labels, system.groups, seed, draws)
    return {label: _plain(row) for label, row in found.items()}


def _plain(table: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in table.items()}
