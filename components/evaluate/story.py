"""What the report tells of one evaluation."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from components.core.metrics.summary import by_label, summarise, summarise_scores
from components.core.report.render import number
from components.core.report.report import Curve, Previous, Progress, Report, SystemSummary, compare
from components.evaluate.systems import Judge, System
from components.evaluate.values import PHASES, Evaluate
from components.recipes.contract import CasePrediction, Indicator


def tell(
    judge: Judge, systems: Sequence[System], recipe: str, values: Evaluate, model: Path, previous: Path | None
) -> Report:
    """The report of an evaluation.

    Args:
        recipe: Its name.
        model: Folder of the model that would be shipped: the one whose worst cases are shown.
        previous: `cases.csv` of an earlier evaluation to compare with.
    """
    shipped = next(system for system in systems if system.name == PHASES[-1])
    worst = _worst(shipped.cases, judge.task.headline, values.pictures)
    painted = {case.id: case.pictures for case in judge.pictures(model, worst)}
    card = judge.dataset.card
    scores = [case.scores for case in shipped.cases]
    groups = [case.group for case in shipped.cases]
    labels = [case.label for case in shipped.cases]
    return Report(
        title=f"{recipe}: evaluation",
        facts={**_facts(judge, recipe), **_last_values(judge, shipped)},
        headline=judge.task.headline,
        systems=[_summary(system, judge.seed, values.draws) for system in systems],
        curves=list(_curves(systems, judge.task.monitor)),
        cases=[replace(case, pictures=painted.get(case.id, {})) for case in shipped.cases],
        by_label=by_label(scores, labels, groups, judge.seed, values.draws),
        progress=[_progress(indicator, systems) for indicator in judge.task.indicators],
        previous=_previous(previous, shipped, judge.seed),
        synthetic=card.synthetic,
        warnings=card.warnings,
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
    scored = {name for case in shipped.cases for name in case.scores}
    names = [indicator.metric for indicator in judge.task.indicators if indicator.metric not in scored]
    found = {name: shipped.validated.get(name) for name in names}
    return {f"{name} of {shipped.name}": number(value) for name, value in found.items() if value is not None}


def _progress(indicator: Indicator, systems: Sequence[System]) -> Progress:
    """An indicator before training and after every phase: on the test split where cases score it."""
    name = indicator.metric
    trained = [system for system in systems if system.kind in ("untrained", "phases")]
    if any(name in case.scores for system in trained for case in system.cases):
        values = {
            system.name: summarise([case.scores.get(name, math.nan) for case in system.cases], draws=1).mean
            for system in trained
        }
        return Progress(name, indicator.hoped, "test split, mean", values)
    values = {system.name: system.validated.get(name) for system in trained}
    return Progress(name, indicator.hoped, "validation", values)


def _summary(system: System, seed: int, draws: int) -> SystemSummary:
    groups = [case.group for case in system.cases]
    estimates = summarise_scores([c.scores for c in system.cases], groups, seed, draws)
    return SystemSummary(system.name, estimates, system.kind)


def _curves(systems: Sequence[System], monitor: str) -> list[Curve]:
    found = []
    for system in systems:
        if system.name not in PHASES:
            continue
        for name in ("train/loss", f"val/{monitor}"):
            rows = [row for row in system.history if name in row]
            found.append(Curve(system.name, name, [row["epoch"] for row in rows], [row[name] for row in rows]))
    return found


def _worst(cases: Sequence[CasePrediction], headline: str, count: int) -> list[str]:
    defined = [case for case in cases if not math.isnan(case.scores.get(headline, math.nan))]
    return [case.id for case in sorted(defined, key=lambda case: (case.scores[headline], case.id))[:count]]


def _previous(file: Path | None, shipped: System, seed: int) -> Previous | None:
    if file is None:
        return None
    now = {case.id: case.scores for case in shipped.cases}
    groups = {case.id: case.group for case in shipped.cases}
    return Previous(file.resolve().parent.parent.name, compare(now, _read_cases(file, shipped.name), groups, seed))


def _read_cases(file: Path, system: str) -> Mapping[str, Mapping[str, float]]:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["system"] == system]
    skip = {"system", "id", "label", "group"}
    return {row["id"]: {k: float(v) if v else math.nan for k, v in row.items() if k not in skip} for row in rows}
