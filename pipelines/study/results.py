"""What a study found: estimates by variant and system, the comparisons it was made for, and what all of it cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from components import stages
from components.cli.values import configure
from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.metrics.statistic import Statistic
from components.core.metrics.summary import LEVEL
from components.evaluate.cases import read_cases
from components.recipes.contract import CasePrediction
from pipelines.local import Run, output_in
from pipelines.study.estimate import BySeed, Estimator, metrics_of
from pipelines.study.plan import StudyRun
from pipelines.study.values import EVALUATE, Measure, Study, require_known

DRAWS = 2000
LAST_PHASE = "end_to_end"


@dataclass
class Findings:
    """What the finished runs of a study have shown so far; fed run by run, each checked as it comes.

    In which order they come changes nothing: results stand in the order of the study file and of the seeds.

    Attributes:
        summaries: By variant and seed.
        cases: By variant and seed: the test cases of every system.
        statistics: Metrics of a whole split that the recipe knows.
        runs: By variant and seed: where the summaries are of.
        headline: The metric that tables lead with; empty before the first evaluation.
    """

    study: Study
    draws: int = DRAWS
    summaries: dict[str, dict[int, Mapping[str, Any]]] = field(default_factory=dict)
    cases: dict[str, dict[int, Mapping[str, list[CasePrediction]]]] = field(default_factory=dict)
    statistics: Mapping[str, Statistic] = field(default_factory=dict)
    runs: dict[str, dict[int, Run]] = field(default_factory=dict)
    headline: str = ""

    def add(self, one: StudyRun, summary: Mapping[str, Any]) -> None:
        """Take note of a finished run.

        Raises:
            BadInput: A measure asks for a system or a number that the run does not have.
        """
        self.summaries.setdefault(one.variant, {})[one.seed] = summary
        self.runs.setdefault(one.variant, {})[one.seed] = one.run
        found = summary["stages"]
        if EVALUATE in found and one.until == EVALUATE:
            self.headline = found[EVALUATE]["metrics"]["headline"]
            folder = one.run.out / found[EVALUATE]["folder"]
            self.cases.setdefault(one.variant, {})[one.seed] = read_cases(output_in(folder, "cases")).systems
            self.statistics = self.statistics or _statistics(one, summary)
        for measure in self.study.measures:
            if one.variant in (variant for variant, _ in measure.sides):
                self._check(measure, one)

    def systems(self) -> dict[str, dict[str, Any]]:
        """The headline of every system of every variant."""
        estimator = Estimator(self.headline, self.statistics, self.draws)
        return {
            variant: {name: estimator.of(self._system(variant, name), variant) for name in _names(self.cases[variant])}
            for variant in self.study.variants
            if variant in self.cases
        }

    def measures(self) -> dict[str, dict[str, Any]]:
        """The comparisons for which both sides have been run with some seed."""
        found = {}
        for measure in self.study.measures:
            (a, _), (b, _) = measure.sides
            if set(self.summaries.get(a, {})) & set(self.summaries.get(b, {})):
                about = {"of": measure.of, "against": measure.against, "stage": measure.stage}
                found[measure.name] = {**about, "metric": self._metric(measure), **self._difference(measure)}
        return found

    def costs(self) -> dict[str, dict[str, Any]]:
        """Seconds (mean over seeds) and peak memory (greatest) of every stage of every variant."""
        costs: dict[str, dict[str, Any]] = {}
        for variant in self.study.variants:
            by_seed = dict(sorted(self.summaries.get(variant, {}).items()))
            done: dict[str, list[Mapping[str, Any]]] = {}
            for summary in by_seed.values():
                for name, stage in summary["stages"].items():
                    done.setdefault(name, []).append(stage)
            if by_seed:
                costs[variant] = {name: _cost(done[name]) for name in stages.NAMES if name in done}
        return costs

    def examples(self) -> dict[str, tuple[Run, Mapping[str, Any]]]:
        """One run of each variant with its summary, of the least seed."""
        return {
            variant: (self.runs[variant][min(self.runs[variant])], self.summaries[variant][min(self.runs[variant])])
            for variant in self.study.variants
            if variant in self.runs
        }

    def _metric(self, measure: Measure) -> str:
        return measure.metric or self.headline

    def _system(self, variant: str, name: str) -> BySeed:
        return {seed: systems[name] for seed, systems in sorted(self.cases[variant].items()) if name in systems}

    def _difference(self, measure: Measure) -> dict[str, Any]:
        (a, system), (b, other) = measure.sides
        if measure.is_evaluated:
            estimator = Estimator(self._metric(measure), self.statistics, self.draws)
            where = f"measure {measure.name!r}"
            return estimator.difference(self._system(a, system), self._system(b, other), where)
        shared = sorted(set(self.summaries[a]) & set(self.summaries[b]))
        return over_seeds({seed: self._number(measure, a, seed) - self._number(measure, b, seed) for seed in shared})

    def _number(self, measure: Measure, variant: str, seed: int) -> float:
        """A number of a stage's metrics by its dotted key."""
        where = f"measure {measure.name!r}, variant {variant}"
        stage = self.summaries[variant][seed]["stages"].get(measure.stage)
        if stage is None:
            raise BadInput(f"the stage {measure.stage} is switched off here", where=where, remedy="compare others")
        value: Any = stage.get("metrics", {})
        for name in measure.metric.split("."):
            require_known(name, value if isinstance(value, Mapping) else (), f"key of {measure.stage}'s metrics", where)
            value = value[name]
        if not isinstance(value, int | float):
            raise BadInput(f"{measure.metric!r} is no number but {value!r}", where=where, remedy="name a number")
        return float(value)

    def _check(self, measure: Measure, one: StudyRun) -> None:
        """A wrong name should be told after the first run, not after the last."""
        for variant, system in measure.sides:
            if variant != one.variant:
                continue
            if measure.is_evaluated:
                where = f"measure {measure.name!r}"
                require_known(system, self.cases[variant][one.seed], f"system of {variant}", where)
                scores = metrics_of(self.cases[variant][one.seed][system])
                require_known(self._metric(measure), [*self.statistics, *scores], "metric", where)
            else:
                self._number(measure, variant, one.seed)


def over_seeds(values: Mapping[int, float]) -> dict[str, Any]:
    """Mean over seeds with Student's interval: what is known where no single cases are."""
    numbers = np.array(list(values.values()))
    mean, n = float(numbers.mean()), len(numbers)
    spread = float(numbers.std(ddof=1)) if n > 1 else None
    half = None if spread is None else float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * spread / math.sqrt(n)
    ends = {"low": None, "high": None} if half is None else {"low": mean - half, "high": mean + half}
    seeds = {str(seed): value for seed, value in values.items()}
    return {"n": n, "undefined": 0, "mean": mean, "sd": spread, **ends, "seeds": seeds, "sd_seeds": spread}


def _names(by_seed: Mapping[int, Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for _, systems in sorted(by_seed.items()) for name in systems))


def _statistics(one: StudyRun, summary: Mapping[str, Any]) -> Mapping[str, Statistic]:
    """The recipe's own, for the dataset that the run was judged on."""
    config: Any = configure(stages.load(EVALUATE), dict(one.run.values), one.run.source)
    dataset = Dataset.open(output_in(one.run.out / summary["stages"]["prepare"]["folder"], "dataset"))
    statistics: Mapping[str, Statistic] = config.recipe.build(dataset.card).statistics
    return statistics


def _cost(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "seconds": round(float(np.mean([one["seconds"] for one in found])), 3),
        "peak_bytes": max(one["peak_bytes"] for one in found),
        "lost": any(one["lost"] for one in found),
        "folders": [one["folder"] for one in found],
    }
