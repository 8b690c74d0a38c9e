"""One row of an evaluation's results. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from components.core.metrics.statistic import Judged, judged
from components.recipes.contract import CasePrediction

Kind: TypeAlias = Literal[
    "untrained", "phases", "test-time augmentation", "ensemble", "controls", "probes", "baselines"
]


@dataclass(frozen=True)
class System:
    """Something that was judged on the test split.

    Attributes:
        name: `untrained`, a phase, or a baseline.
        cases: One prediction per test sample.
        history: Training history, one row per epoch; empty where nothing was trained.
        validated: Validation metrics of the weights that are judged; empty where nothing was trained.
        kind: Heading it stands under in the report.
        views: What of each picture was predicted and averaged.
    """

    name: str
    cases: list[CasePrediction]
    history: Sequence[Mapping[str, float]]
    validated: Mapping[str, float] = field(default_factory=dict)
    kind: Kind = "baselines"
    views: Sequence[str] = ("identity",)

    @property
    def scores(self) -> list[Mapping[str, float]]:
        """Of every case."""
        return [case.scores for case in self.cases]

    @property
    def groups(self) -> list[str]:
        """Of every case: what intervals resample."""
        return [case.group for case in self.cases]

    @property
    def evidence(self) -> Judged:
        """What statistics are computed from."""
        return evidence_of(self.cases)


def evidence_of(cases: Sequence[CasePrediction]) -> Judged:
    """The cases as statistics see them."""
    ids, groups = [case.id for case in cases], [case.group for case in cases]
    return judged(ids, groups, [case.evidence for case in cases])
