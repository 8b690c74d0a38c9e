"""Metrics of a whole split that are no mean over its cases (macro F1, AUROC): value and bootstrap interval.

The resampling is that of `components.core.metrics.summary`, whole groups at a time: with one seed, and no undefined
case, statistics and means rest on the same draws.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.metrics.summary import DRAWS, LEVEL, Estimate

Arrays: TypeAlias = Mapping[str, NDArray[np.float64]]
"""Evidence by name, stacked: first dimension the case."""

Statistic: TypeAlias = Callable[[Arrays], float]
"""Stacked evidence to a number, NaN where it is undefined. Called once per draw; all statistics of a draw are given the
very same mapping, so that what several of them need can be computed once."""

TRUTH = "truth"
"""Name of the evidence that may be unknown in part: NaN among the labels of a case."""

ENOUGH = 0.5
"""Least share of draws in which a statistic must be defined for its interval to say anything."""


@dataclass(frozen=True)
class Judged:
    """Cases of one system as statistics see them.

    Attributes:
        ids: One per row.
        groups: Patient or source of each row: what is resampled.
        runs: Training seed of each row, 0 where there is one: a statistic is computed of each run's rows apart and
            averaged, and a group is drawn with its rows of all runs.
        arrays: Evidence [n, ...] by name.
        undefined: Cases that have none.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    runs: NDArray[np.int64]
    arrays: Arrays
    undefined: int = 0

    @cached_property
    def cases(self) -> int:
        """Distinct cases."""
        return len(set(self.ids))

    @cached_property
    def rows_by_run(self) -> list[NDArray[np.int64]]:
        """Rows of each run."""
        return [np.flatnonzero(self.runs == run) for run in np.unique(self.runs)]

    def keep(self, chosen: Sequence[int]) -> "Judged":
        """Some rows, in the given order."""
        rows = np.asarray(chosen, dtype=np.int64)
        return Judged(
            ids=[self.ids[row] for row in chosen],
            groups=[self.groups[row] for row in chosen],
            runs=self.runs[rows],
            arrays={name: value[rows] for name, value in self.arrays.items()},
        )


def judged(
    ids: Sequence[str],
    groups: Sequence[str],
    evidence: Sequence[Arrays],
    runs: Sequence[int] | None = None,
) -> Judged:
    """Stack the evidence of cases; a case without any, or with a part of it NaN, is undefined.

    Of several labels some may be unknown: a case is undefined by its `truth` only where all of that is NaN.

    Args:
        ids: One per case.
        groups: Patient or source of each.
        evidence: Arrays by name of each, of one shape for all.
        runs: Training seed of each, where several are taken together.

    Raises:
        ValueError: The four differ in length, or the cases' evidence differs in names or shapes.
    """
    runs = [0] * len(ids) if runs is None else runs
    if not len(ids) == len(groups) == len(evidence) == len(runs):
        raise ValueError(f"{len(ids)} cases, {len(groups)} groups, {len(evidence)} of evidence, {len(runs)} runs")
    known = [row for row, one in enumerate(evidence) if _is_defined(one)]
    names = list(evidence[known[0]]) if known else []
    if any(set(evidence[row]) != set(names) for row in known):
        raise ValueError("cases differ in the names of their evidence")
    return Judged(
        ids=[ids[row] for row in known],
        groups=[groups[row] for row in known],
        runs=np.asarray([runs[row] for row in known], dtype=np.int64),
        arrays={name: np.stack([np.asarray(evidence[row][name], np.float64) for row in known]) for name in names},
        undefined=len(set(ids) - {ids[row] for row in known}),
    )


def _is_defined(evidence: Arrays) -> bool:
    lacking = [np.isnan(value).all() if name == TRUTH else np.isnan(value).any() for name, value in evidence.items()]
    return bool(lacking) and not any(lacking)


def summarise_statistics(
    statistics: Mapping[str, Statistic], cases: Judged, seed: int = 0, draws: int = DRAWS
) -> dict[str, Estimate]:
    """Value of each statistic on the cases, with its percentile bootstrap interval, on the same draws for all.

    `mean` is the statistic itself (its mean over the runs) and `sd` is None: a statistic has no spread over cases.
    """
    chosen = list(statistics.values())
    found = _bootstrap(lambda rows: _values(chosen, cases, rows), cases, seed, draws)
    return dict(zip(statistics, found, strict=True))


def statistic_difference(
    statistic: Statistic, cases: Judged, reference: Judged, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Paired difference of a statistic between two systems: both are computed on the same draws of the same cases.

    Cases (of a run) that only one of them has evidence of are left out.
    """
    ours = {key: row for row, key in enumerate(_keys(cases))}
    theirs = {key: row for row, key in enumerate(_keys(reference))}
    shared = [key for key in ours if key in theirs]
    missing = len({*cases.ids, *reference.ids} - {name for _, name in shared})
    mine = cases.keep([ours[key] for key in shared])
    other = reference.keep([theirs[key] for key in shared])

    def difference(rows: list[NDArray[np.int64]]) -> NDArray[np.float64]:
        return _values([statistic], mine, rows) - _values([statistic], other, rows)

    (found,) = _bootstrap(difference, mine, seed, draws)
    undefined = missing + max(cases.undefined, reference.undefined)
    return Estimate(found.n, undefined + found.undefined, found.mean, None, found.low, found.high, found.lost_draws)


Measure: TypeAlias = Callable[[list[NDArray[np.int64]]], NDArray[np.float64]]
"""Rows of each run to numbers, always as many."""


def _keys(cases: Judged) -> list[tuple[int, str]]:
    return list(zip((int(run) for run in cases.runs), cases.ids, strict=True))


def _values(
    statistics: Sequence[Statistic], cases: Judged, rows_by_run: list[NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Mean of each statistic over the runs; NaN where it is undefined in one of them, as it is without rows."""
    if not rows_by_run or any(not len(rows) for rows in rows_by_run):
        return np.full(len(statistics), np.nan)
    found = []
    for rows in rows_by_run:
        evidence = {name: value[rows] for name, value in cases.arrays.items()}
        found.append([statistic(evidence) for statistic in statistics])
    return np.asarray(np.mean(np.asarray(found, dtype=np.float64), axis=0))


def _bootstrap(measure: Measure, cases: Judged, seed: int, draws: int) -> list[Estimate]:
    whole = measure(cases.rows_by_run)
    several = len(set(cases.groups)) > 1
    drawn = [measure(rows) for rows in _draws(cases, seed, draws)] if several else []
    columns = np.asarray(drawn, dtype=np.float64).reshape(len(drawn), len(whole)).T
    return [_estimate(float(value), column, cases) for value, column in zip(whole, columns, strict=True)]


def _draws(cases: Judged, seed: int, draws: int) -> Iterator[list[NDArray[np.int64]]]:
    """Rows of each run by draw: a group drawn k times brings each of its rows k times."""
    names, member = np.unique(np.asarray(cases.groups, dtype=str), return_inverse=True)
    generator = np.random.Generator(np.random.Philox(seed))
    even = np.full(len(names), 1 / len(names))
    for _ in range(draws):
        times = generator.multinomial(len(names), even)[member]
        yield [np.repeat(rows, times[rows]) for rows in cases.rows_by_run]


def _estimate(value: float, found: NDArray[np.float64], cases: Judged) -> Estimate:
    if np.isnan(value):
        return Estimate(0, cases.cases + cases.undefined, None, None, None, None)
    defined = found[~np.isnan(found)]
    lost = len(found) - len(defined)
    low: float | None = None
    high: float | None = None
    if len(found) and len(defined) >= ENOUGH * len(found):
        tail = 100 * (1 - LEVEL) / 2
        low, high = (float(end) for end in np.percentile(defined, [tail, 100 - tail]))
    return Estimate(cases.cases, cases.undefined, float(value), None, low, high, lost)
