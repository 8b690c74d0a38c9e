"""From per-case scores to the numbers that are published: means with intervals, differences, breakdowns."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from components.core.metrics.summary import by_label, paired_difference, summarise_scores
from components.evaluate.systems import System


def metrics(
    systems: Sequence[System], models: Mapping[str, str], headline: str, seed: int, draws: int
) -> dict[str, Any]:
    """Everything `metrics.json` holds.

    Args:
        models: Digest of the model by phase.

    Returns:
        `models`: as given; the export compares it with what it ships.
        `systems`: Estimate by metric by system. `labels`: the same broken down by label. `differences`: paired
        differences of the headline between consecutive systems of the recipe, and of its last phase to every
        other system, on the samples where both are defined.
    """
    named = {system.name: system for system in systems}
    return {
        "headline": headline,
        "models": dict(models),
        "systems": {name: _estimates(system, seed, draws) for name, system in named.items()},
        "labels": {name: _by_label(system, seed, draws) for name, system in named.items()},
        "differences": _differences(named, headline, seed, draws),
    }


def cases_csv(systems: Sequence[System]) -> str:
    """Every score of every case of every system, one row each."""
    names = sorted({name for system in systems for case in system.cases for name in case.scores})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["system", "id", "label", "group", *names])
    for system in systems:
        for case in system.cases:
            scores = [_cell(case.scores.get(name)) for name in names]
            writer.writerow([system.name, case.id, case.label, case.group, *scores])
    return stream.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _estimates(system: System, seed: int, draws: int) -> dict[str, Any]:
    groups = [case.group for case in system.cases]
    found = summarise_scores([case.scores for case in system.cases], groups, seed, draws)
    return {name: asdict(estimate) for name, estimate in found.items()}


def _by_label(system: System, seed: int, draws: int) -> dict[str, Any]:
    scores = [case.scores for case in system.cases]
    labels = [case.label for case in system.cases]
    groups = [case.group for case in system.cases]
    found = by_label(scores, labels, groups, seed, draws)
    return {label: {name: asdict(value) for name, value in row.items()} for label, row in found.items()}


def _differences(systems: Mapping[str, System], headline: str, seed: int, draws: int) -> dict[str, Any]:
    last = "end_to_end"
    pairs = [("warmup", "untrained"), ("partial_unfreeze", "warmup"), (last, "partial_unfreeze")]
    pairs += [(last, name) for name in systems if name not in {last, "partial_unfreeze"}]
    return {f"{a} - {b}": _difference(systems[a], systems[b], headline, seed, draws) for a, b in pairs}


def _difference(system: System, reference: System, metric: str, seed: int, draws: int) -> dict[str, Any]:
    other = {case.id: case.scores.get(metric, float("nan")) for case in reference.cases}
    values = [case.scores.get(metric, float("nan")) for case in system.cases]
    against = [other[case.id] for case in system.cases]
    groups = [case.group for case in system.cases]
    return asdict(paired_difference(values, against, groups, seed, draws))
