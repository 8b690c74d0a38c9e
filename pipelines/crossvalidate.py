"""`thaw crossvalidate`: every fold with every seed, each a run of its own, and one table over all of them.

A case is tested once per seed. Its score is the mean over the seeds, so that intervals resample patients and not
repetitions; the spread between seeds is reported beside them.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from components.core.config import merge
from components.core.metrics.summary import paired_difference, summarise
from pipelines.local import Run, output, run_all
from pipelines.table import in_order

RESULTS = "crossvalidation.json"
PAIRS = (
    ("warmup", "untrained"),
    ("end_to_end", "warmup"),
    ("end_to_end", "partial_unfreeze"),
    ("end_to_end", "constant_mask"),
)
"""Differences that are always reported: does each phase earn its time?"""


@dataclass(frozen=True)
class Score:
    """The headline metric of one case under one system and seed; NaN where undefined."""

    system: str
    seed: int
    case: str
    group: str
    value: float


def crossvalidate(run: Run, folds: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Run what is not finished yet and aggregate.

    Args:
        run: Values, data and folder; each run goes to `out/seed-S/fold-F`.
        folds: Number of folds.
        seeds: Training seeds; the split is the same for all.

    Returns:
        What is written to `out/crossvalidation.json`.
    """
    scores: list[Score] = []
    headline, synthetic = "", False
    for seed in seeds:
        for fold in range(folds):
            one = _one(run, folds, fold, seed)
            summary = run_all(one, until="evaluate")
            headline, synthetic = summary["stages"]["evaluate"]["metrics"]["headline"], summary["synthetic"]
            scores += _read_scores(output(one, "evaluate", "cases"), seed, headline)
    about = {"headline": headline, "synthetic": synthetic, "folds": folds, "seeds": list(seeds)}
    results = {**about, **aggregate(scores)}
    file = run.out / RESULTS
    file.write_text(json.dumps(results, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    return results


def _one(run: Run, folds: int, fold: int, seed: int) -> Run:
    """One run of the crossvalidation, with its own folder and its own prefix of the store."""
    own = f"seed-{seed}/fold-{fold}"
    values = merge(run.values, {"seed": seed, "split": {"folds": folds, "fold": fold}})
    store = ((values.get("runtime") or {}).get("checkpoints") or {}).get("store")
    if store is not None:
        values = merge(values, {"runtime": {"checkpoints": {"store": f"{store.rstrip('/')}/{own}"}}})
    return replace(run, values=values, out=run.out / own)


def aggregate(scores: Sequence[Score]) -> dict[str, Any]:
    """Estimates by system, and paired differences over cases averaged over seeds."""
    systems = list(dict.fromkeys(score.system for score in scores))
    means = {name: _case_means(scores, name) for name in systems}
    groups = {score.case: score.group for score in scores}
    return {
        "systems": {name: {**_estimate(means[name], groups), "seeds": _by_seed(scores, name)} for name in systems},
        "differences": {
            f"{a} - {b}": _difference(means[a], means[b], groups) for a, b in PAIRS if a in means and b in means
        },
    }


def results_table(results: Mapping[str, Any]) -> Table:
    """Means with intervals, and the standard deviation between seeds."""
    folds, seeds = results["folds"], len(results["seeds"])
    headline = results["headline"]
    data = ", synthetic data" if results["synthetic"] else ""
    table = Table(title=f"{headline}: {folds} folds, {seeds} seeds{data}", title_justify="left")
    table.add_column("system")
    for name in (headline, "95 % interval", "sd between seeds", "n"):
        table.add_column(name, justify="right")
    rows = {name: results["systems"][name] for name in in_order(results["systems"])}
    for name, row in {**rows, **results["differences"]}.items():
        spread = np.std(list(row["seeds"].values()), ddof=1) if len(row.get("seeds", {})) > 1 else math.nan
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        mean = "undefined" if row["mean"] is None else f"{row['mean']:.3f}"
        table.add_row(name, mean, interval, "" if math.isnan(spread) else f"{spread:.3f}", str(row["n"]))
    return table


def _read_scores(file: Path, seed: int, headline: str) -> list[Score]:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [
        Score(row["system"], seed, row["id"], row["group"], float(row[headline]) if row[headline] else math.nan)
        for row in rows
    ]


def _case_means(scores: Sequence[Score], system: str) -> dict[str, float]:
    collected: dict[str, list[float]] = {}
    for score in scores:
        if score.system == system and not math.isnan(score.value):
            collected.setdefault(score.case, []).append(score.value)
    return {case: float(np.mean(values)) for case, values in collected.items()}


def _by_seed(scores: Sequence[Score], system: str) -> dict[str, float]:
    """Mean by seed; seeds for which it is defined nowhere are left out."""
    chosen: dict[int, list[float]] = {}
    for score in scores:
        if score.system == system and not math.isnan(score.value):
            chosen.setdefault(score.seed, []).append(score.value)
    return {str(seed): float(np.mean(chosen[seed])) for seed in sorted(chosen)}


def _estimate(means: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, Any]:
    return asdict(summarise(list(means.values()), [groups[case] for case in means]))


def _difference(a: Mapping[str, float], b: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, Any]:
    shared = [case for case in a if case in b]
    found = paired_difference([a[c] for c in shared], [b[c] for c in shared], [groups[c] for c in shared])
    return asdict(found)
