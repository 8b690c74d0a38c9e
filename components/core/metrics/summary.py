"""Many cases, one line: mean, spread and a bootstrap interval that respects groups.

Undefined values (NaN) are left out and counted, so that they never reach a mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
LEVEL = 0.95
CHUNK = 1 << 22
"""Resampled counts held at once (8 bytes each)."""


@dataclass(frozen=True)
class Estimate:
    """One metric over cases.

    Attributes:
        n: Cases it is defined for.
        undefined: Cases it is not defined for.
        mean: Mean over the n cases, or the statistic of them; None where n is 0.
        sd: Sample standard deviation; None below two cases, and for statistics.
        low: Lower end of the 95 % interval of the mean; None below two groups.
        high: Upper end.
        lost_draws: Bootstrap draws in which a statistic was undefined (a rare class not drawn, say): the interval
            rests on the others.
    """

    n: int
    undefined: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    lost_draws: int = 0


def summarise(values: ArrayLike, groups: Sequence[str] | None = None, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Mean, standard deviation and percentile bootstrap interval of per-case values.

    Args:
        values: [n] one per case; NaN is undefined.
        groups: Patient or source of each case: whole groups are then drawn (cluster bootstrap), since cases of
            one patient are not independent. None takes every case for its own group.
        seed: Equal seeds give equal intervals.
        draws: Bootstrap samples.

    Raises:
        ValueError: Values are infinite or of another number than the groups.
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if np.isinf(array).any():
        raise ValueError("a metric is infinite; only NaN stands for undefined")
    labels = np.arange(len(array)) if groups is None else np.asarray(groups, dtype=str)
    if len(labels) != len(array):
        raise ValueError(f"{len(array)} values but {len(labels)} groups")
    defined = ~np.isnan(array)
    known, labels = array[defined], labels[defined]
    low, high = _interval(known, labels, seed, draws)
    return Estimate(
        n=len(known),
        undefined=int((~defined).sum()),
        mean=float(known.mean()) if len(known) else None,
        sd=float(known.std(ddof=1)) if len(known) > 1 else None,
        low=low,
        high=high,
    )


def paired_difference(
    values: ArrayLike, reference: ArrayLike, groups: Sequence[str] | None = None, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Summary of `values - reference`, two systems on the same cases in the same order.

    Cases where either is undefined are left out (and counted). The difference is beyond chance, at the 5 % level,
    where its interval leaves 0 out.

    Raises:
        ValueError: The two differ in length.
    """
    ours, theirs = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"a paired comparison needs the same cases, got {ours.shape} and {theirs.shape}")
    return summarise(ours - theirs, groups, seed, draws)


def summarise_scores(
    scores: Sequence[Mapping[str, float]], groups: Sequence[str] | None = None, seed: int = 0, draws: int = DRAWS
) -> dict[str, Estimate]:
    """Summaries of every metric that any case has, in order of first appearance; a missing one is undefined."""
    names = list(dict.fromkeys(name for case in scores for name in case))
    columns = {name: [case.get(name, float("nan")) for case in scores] for name in names}
    return {name: summarise(column, groups, seed, draws) for name, column in columns.items()}


def by_label(
    scores: Sequence[Mapping[str, float]],
    labels: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, dict[str, Estimate]]:
    """`summarise_scores` of each label's cases, labels in sorted order.

    Raises:
        ValueError: Labels or groups are of another number than the cases.
    """
    if len(labels) != len(scores) or (groups is not None and len(groups) != len(scores)):
        raise ValueError("every case needs one label, and one group where groups are given")
    tables = {}
    for label in sorted(set(labels)):
        rows = [row for row, other in enumerate(labels) if other == label]
        chosen = None if groups is None else [groups[row] for row in rows]
        tables[label] = summarise_scores([scores[row] for row in rows], chosen, seed, draws)
    return tables


def _interval(
    values: NDArray[np.float64], labels: NDArray[np.generic], seed: int, draws: int
) -> tuple[float | None, float | None]:
    """Percentiles of the resampled means: a group drawn k times brings k times its sum and its count."""
    names, member = np.unique(labels, return_inverse=True)
    size = len(names)
    if size < 2:
        return None, None
    sums = np.bincount(member, weights=values, minlength=size)
    counts = np.bincount(member, minlength=size).astype(np.float64)
    generator = np.random.Generator(np.random.Philox(seed))
    means: list[NDArray[np.float64]] = []
    for start in range(0, draws, max(1, CHUNK // size)):
        rows = min(draws - start, max(1, CHUNK // size))
        drawn = generator.multinomial(size, np.full(size, 1 / size), size=rows)
        means.append((drawn @ sums) / (drawn @ counts))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)
