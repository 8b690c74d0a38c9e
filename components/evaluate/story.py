"""What the report tells of one evaluation."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.core.metrics.summary import by_label, summarise_scores
from components.core.report.report import Curve, Previous, Report, SystemSummary, compare
from components.evaluate.stage import PHASES, Config, Inputs
from components.evaluate.systems import UNTRAINED, Judge, System
from components.recipes.contract import CasePrediction


def tell(judge: Judge, systems: Sequence[System], config: Config, inputs: Inputs) -> Report:
    """The report of an evaluation whose last phase is what would be shipped."""
    shipped = next(system for system in systems if system.name == PHASES[-1])
    worst = _worst(shipped.cases, judge.task.headline, config.evaluate.pictures)
    painted = {case.id: case for case in judge.pictures(inputs.end_to_end, set(worst))}
    card = judge.dataset.card
    scores = [case.scores for case in shipped.cases]
    groups = [case.group for case in shipped.cases]
    labels = [case.label for case in shipped.cases]
    return Report(
        title=f"{config.recipe.name}: evaluation",
        facts=_facts(judge, config),
        headline=judge.task.headline,
        systems=[_summary(system, config) for system in systems],
        curves=list(_curves(systems, judge.task.monitor)),
        cases=[painted.get(case.id, case) for case in shipped.cases],
        by_label=by_label(scores, labels, groups, config.seed, config.evaluate.draws),
        previous=_previous(inputs.previous, shipped, config),
        synthetic=card.synthetic,
        warnings=card.warnings,
        max_panels=config.evaluate.pictures,
    )


def _facts(judge: Judge, config: Config) -> dict[str, str]:
    counts = judge.dataset.card.counts
    return {
        "recipe": config.recipe.name,
        "seed": str(config.seed),
        "data": judge.dataset.digest[:16],
        "cases": ", ".join(f"{split} {sum(by_stratum.values())}" for split, by_stratum in counts.items()),
        "intended use": "research on the reader's own data; not for diagnosis",
    }


def _summary(system: System, config: Config) -> SystemSummary:
    groups = [case.group for case in system.cases]
    estimates = summarise_scores([c.scores for c in system.cases], groups, config.seed, config.evaluate.draws)
    kind = "phases" if system.name in PHASES else UNTRAINED if system.name == UNTRAINED else "baselines"
    return SystemSummary(system.name, estimates, kind)


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


def _previous(file: Path | None, shipped: System, config: Config) -> Previous | None:
    if file is None:
        return None
    now = {case.id: case.scores for case in shipped.cases}
    groups = {case.id: case.group for case in shipped.cases}
    return Previous(file.parent.parent.name, compare(now, _read_cases(file, shipped.name), groups, config.seed))


def _read_cases(file: Path, system: str) -> Mapping[str, Mapping[str, float]]:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["system"] == system]
    skip = {"system", "id", "label", "group"}
    return {row["id"]: {k: float(v) if v else math.nan for k, v in row.items() if k not in skip} for row in rows}
