"""`thaw crossvalidate`: every fold with every seed, each a run of its own, and one table over all of them.

A case is tested once per seed. Its score is the mean over the seeds, and a metric of the whole split is computed of all
folds' cases together, seed by seed, so that intervals resample patients and not repetitions; the spread between seeds
is reported beside them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table

from components import stages
from components.cli.member import Member
from components.cli.values import configure
from components.core.data.dataset import Dataset
from components.core.metrics.statistic import Statistic
from components.core.metrics.summary import DRAWS
from components.evaluate.cases import read_cases
from components.evaluate.values import AUGMENTED, PROBES
from components.recipes.contract import CasePrediction
from pipelines.local import Run, output, run_all
from pipelines.study.estimate import Estimator
from pipelines.table import in_order

RESULTS = "crossvalidation.json"
PAIRS = (
    ("warmup", "untrained"),
    ("end_to_end", "warmup"),
    ("end_to_end", "partial_unfreeze"),
    ("end_to_end", "constant_mask"),
    (AUGMENTED, "end_to_end"),
    (PROBES[1], PROBES[0]),
)
"""Differences that are reported where both systems are there: does each phase earn its time?"""

Tests = dict[str, dict[int, list[CasePrediction]]]
"""Test cases of all folds, by system and seed."""


def crossvalidate(run: Run, folds: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Run what is not finished yet and aggregate.

    Args:
        run: Values, data and folder; each run goes to `out/seed-S/fold-F`.
        folds: Number of folds.
        seeds: Training seeds; the split is the same for all.

    Returns:
        What is written to `out/crossvalidation.json`.
    """
    tests: Tests = {}
    statistics: Mapping[str, Statistic] = {}
    headline, synthetic = "", False
    for seed in seeds:
        for fold in range(folds):
            one = member_run(run, folds, fold, seed)
            summary = run_all(one, until="evaluate")
            headline, synthetic = summary["stages"]["evaluate"]["metrics"]["headline"], summary["synthetic"]
            table = read_cases(output(one, "evaluate", "cases"))
            for system, cases in table.systems.items():
                tests.setdefault(system, {}).setdefault(seed, []).extend(cases)
            if table.columns and not statistics:
                statistics = _statistics(one)
    about = {"headline": headline, "synthetic": synthetic, "folds": folds, "seeds": list(seeds)}
    results = {**about, **aggregate(tests, headline, statistics)}
    file = run.out / RESULTS
    file.write_text(json.dumps(results, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    return results


def member_run(run: Run, folds: int, fold: int, seed: int) -> Run:
    """One run of the crossvalidation, with its own folder and its own prefix of the store."""
    member = Member(seed, fold, folds)
    return replace(run, values=member.over(run.values), out=run.out / member.name)


def _statistics(run: Run) -> Mapping[str, Statistic]:
    """The metrics of a whole split that the recipe knows, for the classes of its dataset."""
    config: Any = configure(stages.load("evaluate"), dict(run.values), run.source)
    card = Dataset.open(output(run, "prepare", "dataset")).card
    found: Mapping[str, Statistic] = config.recipe.build(card).statistics
    return found


def aggregate(tests: Tests, headline: str, statistics: Mapping[str, Statistic]) -> dict[str, Any]:
    """Estimates of the headline by system, and paired differences, over all folds and seeds.

    Args:
        headline: One of the statistics, or else a score.
    """
    estimator = Estimator(headline, statistics, DRAWS)
    return {
        "systems": {name: estimator.of(by_seed, name) for name, by_seed in tests.items()},
        "differences": {
            f"{a} - {b}": estimator.difference(tests[a], tests[b], f"{a} - {b}")
            for a, b in PAIRS
            if a in tests and b in tests
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
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        mean = "undefined" if row["mean"] is None else f"{row['mean']:.3f}"
        spread = "" if row["sd_seeds"] is None else f"{row['sd_seeds']:.3f}"
        table.add_row(name, mean, interval, spread, str(row["n"]))
    return table
