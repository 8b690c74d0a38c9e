"""What the report tells of one evaluation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from components.core.metrics.statistic import Statistic, summarise_statistics
from components.core.metrics.summary import by_label, summarise
from components.core.report.reliability import reliability
from components.core.report.render import CLASS, number
from components.core.report.report import (
    Confusion,
    Curve,
    Mistake,
    Previous,
    Progress,
    Report,
    SystemSummary,
    compare,
    compare_statistics,
)
from components.evaluate.cases import evidence_columns, read_cases
from components.evaluate.classes import class_pairs
from components.evaluate.results import Tables, by_class
from components.evaluate.system import System, evidence_of
from components.evaluate.systems import Judge
from components.evaluate.values import PHASES, Evaluate
from components.recipes.contract import CasePrediction, Indicator, RecipeTask


def tell(
    judge: Judge,
    systems: Sequence[System],
    tables: Tables,
    recipe: str,
    values: Evaluate,
    model: Path,
    previous: Path | None,
) -> Report:
    """The report of an evaluation.

    Args:
        tables: Estimates of these systems.
        recipe: Its name.
        model: Folder of the model that would be shipped: the one whose worst cases are shown.
        previous: `cases.csv` of an earlier evaluation to compare with.
    """
    task, card = judge.task, judge.dataset.card
    shipped = next(system for system in systems if system.name == PHASES[-1])
    confusion = task.confusion(shipped.cases)
    mistakes = {} if confusion is None else _mistakes(task, shipped.cases, confusion)
    shown = _worst(task, shipped.cases)[: values.pictures]
    if confusion is not None:
        shown = _of_each(mistakes, values.pictures)
    painted = {case.id: case.pictures for case in judge.pictures(model, shown)}
    labels = [case.label for case in shipped.cases]
    return Report(
        title=f"{recipe}: evaluation",
        facts={**_facts(judge, recipe), **_last_values(judge, shipped)},
        headline=task.headline,
        ranking=task.ranking,
        systems=[SystemSummary(system.name, tables[system.name], system.kind) for system in systems],
        curves=list(_curves(systems, task.monitor)),
        cases=[replace(case, pictures=painted.get(case.id, {})) for case in shipped.cases],
        by_label=by_label(shipped.scores, labels, shipped.groups, judge.seed, values.draws),
        by_class=by_class(tables[shipped.name]),
        confusion=confusion,
        mistakes=mistakes,
        reliability=None if confusion is None else reliability(shipped.evidence.arrays),
        progress=[_progress(indicator, systems, task.statistics) for indicator in task.indicators],
        previous=_previous(previous, shipped, task.statistics, confusion, judge.seed),
        synthetic=card.synthetic,
        warnings=card.warnings,
        lower_is_better=frozenset(task.lower_is_better),
        max_panels=values.pictures,
    )


def _facts(judge: Judge, recipe: str) -> dict[str, str]:
    counts = judge.dataset.card.counts
    return {
        "recipe": recipe,
        "seed": str(judge.seed),
        "data": judge.dataset.digest[:16],
        "cases": ", ".join(f"{split} {sum(by_stratum.values())}" for split, by_stratum in counts.items()),
        "intended use": "research on the reader's own data; not for diagnosis",
    }


def _last_values(judge: Judge, shipped: System) -> dict[str, str]:
    """Indicators that no test case scores, of the model that would be shipped."""
    scored = {name for case in shipped.cases for name in case.scores} | set(judge.task.statistics)
    names = [indicator.metric for indicator in judge.task.indicators if indicator.metric not in scored]
    found = {name: shipped.validated.get(name) for name in names}
    return {f"{name} of {shipped.name}": number(value) for name, value in found.items() if value is not None}


def _progress(indicator: Indicator, systems: Sequence[System], statistics: Mapping[str, Statistic]) -> Progress:
    """An indicator before training and after every phase: on the test split where it can be told there."""
    name = indicator.metric
    trained = [system for system in systems if system.kind in ("untrained", "phases")]
    if name in statistics:
        chosen = {name: statistics[name]}
        told = {system.name: summarise_statistics(chosen, system.evidence, draws=0)[name].mean for system in trained}
        return Progress(name, indicator.hoped, "test split", told)
    if any(name in case.scores for system in trained for case in system.cases):
        means = {
            system.name: summarise([case.scores.get(name, math.nan) for case in system.cases], draws=1).mean
            for system in trained
        }
        return Progress(name, indicator.hoped, "test split, mean", means)
    validated = {system.name: system.validated.get(name) for system in trained}
    return Progress(name, indicator.hoped, "validation", validated)


def _curves(systems: Sequence[System], monitor: str) -> list[Curve]:
    found = []
    for system in systems:
        if system.name not in PHASES:
            continue
        for name in ("train/loss", f"val/{monitor}"):
            rows = [row for row in system.history if name in row]
            found.append(Curve(system.name, name, [row["epoch"] for row in rows], [row[name] for row in rows]))
    return found


def _worst(task: RecipeTask, cases: Sequence[CasePrediction]) -> list[str]:
    """Ids of the cases whose rank is defined, worst first."""
    sign = -1.0 if task.ranking in task.lower_is_better else 1.0
    ranks = {case.id: sign * case.scores.get(task.ranking, math.nan) for case in cases}
    return sorted((case for case, rank in ranks.items() if not math.isnan(rank)), key=lambda case: (ranks[case], case))


def _mistakes(task: RecipeTask, cases: Sequence[CasePrediction], confusion: Confusion) -> dict[str, list[Mistake]]:
    """Cases taken for another class, by their own, worst first."""
    found: dict[str, list[Mistake]] = {label: [] for label in confusion.labels}
    by_id = {case.id: case for case in cases}
    ranked = _worst(task, cases)
    for case in [*ranked, *(one for one in by_id if one not in set(ranked))]:
        for actual, predicted in class_pairs(by_id[case], task.confusion):
            if actual != predicted:
                found[actual].append(Mistake(case, predicted))
    return found


def _of_each(mistakes: Mapping[str, Sequence[Mistake]], count: int) -> list[str]:
    """Ids of at most so many cases: the worst of every class, then the second of every class, and so on."""
    deepest = max((len(one) for one in mistakes.values()), default=0)
    turns = [one[depth].case for depth in range(deepest) for one in mistakes.values() if depth < len(one)]
    return list(dict.fromkeys(turns))[:count]


def _previous(
    file: Path | None,
    shipped: System,
    statistics: Mapping[str, Statistic],
    confusion: Confusion | None,
    seed: int,
) -> Previous | None:
    """The shipped system then and now; statistics only where the evidence was of the same classes."""
    if file is None:
        return None
    table = read_cases(file)
    before = table.systems.get(shipped.name, [])
    now = {case.id: case.scores for case in shipped.cases}
    groups = {case.id: case.group for case in shipped.cases}
    changes = compare(now, {case.id: case.scores for case in before}, groups, seed)
    if table.columns == evidence_columns(shipped.cases, confusion.labels if confusion else ()):
        chosen = {name: one for name, one in statistics.items() if CLASS not in name}
        told = compare_statistics(chosen, shipped.evidence, evidence_of(before), seed)
        changes = [change for change in changes if change.metric not in chosen] + told
    return Previous(file.resolve().parent.parent.name, changes)
