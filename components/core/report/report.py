"""What a report says, as values; `components.core.report.render` turns it into HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.core.metrics.statistic import Judged, Statistic, statistic_difference, summarise_statistics
from components.core.metrics.summary import Estimate, paired_difference, summarise
from components.core.report.reliability import Reliability


class Case(Protocol):
    """One judged sample (`components.recipes.contract.CasePrediction` is one)."""

    @property
    def id(self) -> str:
        """Sample id."""

    @property
    def label(self) -> str:
        """Class, caption or stratum."""

    @property
    def scores(self) -> Mapping[str, float]:
        """Metrics by name, NaN where undefined."""

    @property
    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """RGB pictures [h, w, 3] by caption."""


@dataclass(frozen=True)
class SystemSummary:
    """One row of the summary table.

    Attributes:
        name: What a reader calls it: untrained, warmup, Otsu, ...
        metrics: Estimates by metric; a metric that is missing shows as undefined.
        kind: Heading it stands under (untrained, phases, baselines).
        note: One short remark ("random weights: no meaning").
    """

    name: str
    metrics: Mapping[str, Estimate]
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """One line of a training chart; curves of one name share a panel, phases follow each other.

    Attributes:
        phase: warmup, partial_unfreeze, ...
        name: What is drawn, `loss` or `val dice`.
        x: Epochs since the phase began, ascending; fractions are fine.
        y: Values; NaN leaves a gap.
    """

    phase: str
    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Confusion:
    """Counts of classified cases, rows the truth and columns the prediction."""

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Mistake:
    """A case that was taken for another class: its id, and that class."""

    case: str
    predicted: str


@dataclass(frozen=True)
class Change:
    """One metric now and in the previous run.

    Attributes:
        difference: Paired estimate of now - before over the cases both runs judged.
    """

    metric: str
    now: Estimate
    before: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Previous:
    """The run that this one is compared with: a name or digest, and the metrics of both."""

    name: str
    changes: Sequence[Change]


@dataclass(frozen=True)
class Progress:
    """One indicator of success before training and after every phase.

    Attributes:
        metric: What was measured.
        hoped: What it should do, in words.
        where: The split it was measured on.
        by_system: Measured value by system, in their order; None where it is undefined.
    """

    metric: str
    hoped: str
    where: str
    by_system: Mapping[str, float | None]


@dataclass(frozen=True)
class Report:
    """Everything one evaluation tells.

    Attributes:
        title: Heading, and name of the browser's tab.
        facts: Recipe, size, data digest, ...: shown as they are.
        headline: Metric that tables lead with.
        ranking: Score by which cases are ranked, worst first; empty takes the headline.
        systems: Rows of the summary table in their order.
        curves: Training curves in the phases' order.
        cases: Judged samples of the system that is reported on.
        by_label: Estimates by label and metric.
        by_class: Estimates by class and measure (precision, recall) of whole splits.
        confusion: For classifiers.
        mistakes: For classifiers: the worst mistakes by true class, worst first; their pictures are then shown class by
            class. Classes without mistakes are there too.
        reliability: For classifiers: how often they are right when they are so sure.
        progress: Indicators of success, each with the same systems.
        previous: Comparison with an earlier run.
        synthetic: Shows the banner that the data are synthetic.
        warnings: Sentences a reader must not miss ("groups inferred, ...").
        lower_is_better: Metrics whose small values are good; they rank and colour the other way.
        max_panels: Cases shown with pictures, from the worst on; the table lists all.
    """

    title: str
    facts: Mapping[str, str]
    headline: str
    systems: Sequence[SystemSummary]
    curves: Sequence[Curve] = ()
    cases: Sequence[Case] = ()
    ranking: str = ""
    by_label: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    by_class: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    confusion: Confusion | None = None
    mistakes: Mapping[str, Sequence[Mistake]] = field(default_factory=dict)
    reliability: Reliability | None = None
    progress: Sequence[Progress] = ()
    previous: Previous | None = None
    synthetic: bool = False
    warnings: Sequence[str] = ()
    lower_is_better: frozenset[str] = frozenset()
    max_panels: int = 24

    @property
    def ranked_by(self) -> str:
        """Score that tells the worst cases."""
        return self.ranking or self.headline


def compare(
    now: Mapping[str, Mapping[str, float]],
    before: Mapping[str, Mapping[str, float]],
    groups: Mapping[str, str] | None = None,
    seed: int = 0,
) -> list[Change]:
    """Differences of two runs, metric by metric, over the cases that both judged: only they can be paired.

    Args:
        now: Scores by case id.
        before: The previous run's scores by case id.
        groups: Patient or source by case id.
        seed: Of the bootstrap.
    """
    shared = [case for case in now if case in before]
    changes = []
    for name in dict.fromkeys(name for scores in now.values() for name in scores):
        ours, theirs = _column(now, shared, name), _column(before, shared, name)
        member = None if groups is None else [groups[case] for case in shared]
        changes.append(
            Change(
                metric=name,
                now=summarise(ours, member, seed),
                before=summarise(theirs, member, seed),
                difference=paired_difference(ours, theirs, member, seed),
            )
        )
    return changes


def compare_statistics(statistics: Mapping[str, Statistic], now: Judged, before: Judged, seed: int = 0) -> list[Change]:
    """As `compare`, of metrics of the whole split, over the cases that both runs judged."""
    shared = set(now.ids) & set(before.ids)
    ours = now.keep([row for row, case in enumerate(now.ids) if case in shared])
    theirs = before.keep([row for row, case in enumerate(before.ids) if case in shared])
    after, former = summarise_statistics(statistics, ours, seed), summarise_statistics(statistics, theirs, seed)
    return [
        Change(name, after[name], former[name], statistic_difference(statistic, ours, theirs, seed))
        for name, statistic in statistics.items()
    ]


def _column(scores: Mapping[str, Mapping[str, float]], cases: Sequence[str], name: str) -> list[float]:
    return [scores[case].get(name, float("nan")) for case in cases]


def ranked(report: Report) -> list[Case]:
    """The cases, worst first by the score that ranks them, undefined ones last; equal scores by id."""
    sign = -1.0 if report.ranked_by in report.lower_is_better else 1.0

    def key(case: Case) -> tuple[bool, float, str]:
        score = case.scores.get(report.ranked_by, float("nan"))
        return (True, 0.0, case.id) if np.isnan(score) else (False, sign * score, case.id)

    return sorted(report.cases, key=key)
