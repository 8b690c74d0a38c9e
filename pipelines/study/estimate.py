"""From cases under several seeds to one number with its interval, and to differences between two systems.

A case is judged once per seed. Intervals resample patients, with their cases of all seeds, never repetitions; how much
the seeds differ is told beside them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from components.core.errors import BadInput
from components.core.metrics.statistic import Judged, Statistic, judged, statistic_difference, summarise_statistics
from components.core.metrics.summary import paired_difference, summarise
from components.recipes.contract import CasePrediction

BySeed: TypeAlias = Mapping[int, Sequence[CasePrediction]]
"""A system's test cases by training seed."""


class Estimator:
    """Estimates of one metric.

    Args:
        metric: A statistic, or else a score of single cases.
        statistics: Metrics of a whole split that are no mean over its cases.
        draws: Bootstrap samples of the intervals.
    """

    def __init__(self, metric: str, statistics: Mapping[str, Statistic], draws: int) -> None:
        self.metric, self._draws = metric, draws
        self._statistic = statistics.get(metric)
        self._known = list(statistics)

    def of(self, seeds: BySeed, where: str) -> dict[str, Any]:
        """The metric of one system: its estimate, its value by seed and their standard deviation.

        Raises:
            BadInput: The evaluation knows no such metric.
        """
        self._require(seeds, where)
        if self._statistic is not None:
            found = summarise_statistics({self.metric: self._statistic}, _judged(seeds), draws=self._draws)[self.metric]
        else:
            means, groups = _case_means(seeds, self.metric)
            found = summarise(list(means.values()), [groups[case] for case in means], draws=self._draws)
        return {**asdict(found), **_spread({seed: self._value(cases) for seed, cases in seeds.items()})}

    def difference(self, ours: BySeed, theirs: BySeed, where: str) -> dict[str, Any]:
        """The paired difference of two systems on the cases that both were judged on, over the seeds that both have.

        Raises:
            BadInput: The evaluation knows no such metric, or the two share no case.
        """
        for one in (ours, theirs):
            self._require(one, where)
        shared = sorted(set(ours) & set(theirs))
        ours, theirs = {seed: ours[seed] for seed in shared}, {seed: theirs[seed] for seed in shared}
        _require_same_cases(ours, theirs, where)
        if self._statistic is not None:
            found = statistic_difference(self._statistic, _judged(ours), _judged(theirs), draws=self._draws)
        else:
            (a, groups), (b, _) = _case_means(ours, self.metric), _case_means(theirs, self.metric)
            both = [case for case in a if case in b]
            found = paired_difference(
                [a[case] for case in both],
                [b[case] for case in both],
                [groups[case] for case in both],
                draws=self._draws,
            )
        return {**asdict(found), **_spread({s: self._value(ours[s]) - self._value(theirs[s]) for s in shared})}

    def _value(self, cases: Sequence[CasePrediction]) -> float:
        """The metric under one seed; NaN where it is undefined."""
        if self._statistic is not None:
            (found,) = summarise_statistics(
                {self.metric: self._statistic}, _judged({0: cases}), draws=0
            ).values()  # no interval: this is asked once per seed
            return math.nan if found.mean is None else found.mean
        values = [case.scores[self.metric] for case in cases if not math.isnan(case.scores[self.metric])]
        return float(np.mean(values)) if values else math.nan

    def _require(self, seeds: BySeed, where: str) -> None:
        if self._statistic is None and any(self.metric not in metrics_of(cases) for cases in seeds.values()):
            known = [*self._known, *metrics_of(next(iter(seeds.values())))]
            raise BadInput(
                f"the evaluation has no metric {self.metric!r}",
                where=where,
                remedy=f"there are {', '.join(dict.fromkeys(known))}",
            )


def metrics_of(cases: Sequence[CasePrediction]) -> list[str]:
    """Scores that single cases have."""
    return list(cases[0].scores) if cases else []


def _judged(seeds: BySeed) -> Judged:
    """All seeds' cases together, told apart by their runs."""
    pairs = [(seed, case) for seed, cases in seeds.items() for case in cases]
    return judged(
        ids=[case.id for _, case in pairs],
        groups=[case.group for _, case in pairs],
        evidence=[case.evidence for _, case in pairs],
        runs=[seed for seed, _ in pairs],
    )


def _case_means(seeds: BySeed, metric: str) -> tuple[dict[str, float], dict[str, str]]:
    """Mean over the seeds by case, where it is defined in any of them; and each case's group."""
    collected: dict[str, list[float]] = {}
    groups: dict[str, str] = {}
    for case in (case for cases in seeds.values() for case in cases):
        groups[case.id] = case.group
        if not math.isnan(case.scores[metric]):
            collected.setdefault(case.id, []).append(case.scores[metric])
    return {name: float(np.mean(values)) for name, values in collected.items()}, groups


def _spread(values: Mapping[int, float]) -> dict[str, Any]:
    """Values by seed, those left out that are undefined, and their standard deviation."""
    defined = {str(seed): value for seed, value in values.items() if not math.isnan(value)}
    spread = float(np.std(list(defined.values()), ddof=1)) if len(defined) > 1 else None
    return {"seeds": defined, "sd_seeds": spread}


def _require_same_cases(ours: BySeed, theirs: BySeed, where: str) -> None:
    here, there = ({case.id for cases in one.values() for case in cases} for one in (ours, theirs))
    if not here & there:
        raise BadInput(
            "the two sides were judged on different cases, so that nothing can be paired",
            where=where,
            remedy="give the variants the same data and split, or compare others",
        )
