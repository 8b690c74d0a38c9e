"""What the report tells of a classifier: its mistakes class by class, and how sure it was of them."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from classified import CLASSES, STATISTICS, case, cases, confusion

from components.core.metrics.classification import f1_macro
from components.core.report.render import render
from components.core.report.report import Report
from components.evaluate.cases import cases_csv
from components.evaluate.results import tabulate
from components.evaluate.story import tell
from components.evaluate.system import System, evidence_of
from components.evaluate.systems import Judge
from components.evaluate.values import Evaluate
from components.recipes.contract import CasePrediction, Indicator

CARD = SimpleNamespace(counts={"test": {"rust": 4}}, synthetic=False, warnings=[])


class FakeJudge:
    """Paints what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seed = 0
        self.dataset = SimpleNamespace(card=CARD, digest="d" * 64)
        self.task = SimpleNamespace(
            headline="f1_macro",
            ranking="probability_of_truth",
            monitor="f1_macro",
            indicators=(Indicator("f1_macro", "rises"),),
            statistics=STATISTICS,
            lower_is_better=frozenset({"ece"}),
            confusion=confusion,
        )

    def pictures(self, folder: Path, shown: Sequence[str]) -> list[CasePrediction]:
        self.asked = list(shown)
        picture = np.zeros((4, 4, 3), np.uint8)
        return [CasePrediction(one, "", "", {}, {"picture": picture}) for one in shown]


JUDGED = [
    case(0, 0, 0),
    case(1, 1, 0, sure=0.6),
    case(2, 1, 2, sure=0.9),
    case(3, 1, 0, sure=0.7),
    case(4, 2, 0, sure=0.5),
    case(5, 2, 2),
]
SYSTEMS = [
    System("untrained", cases((1, 1, 1, 0, 0, 2)), [], kind="untrained"),
    System("warmup", cases((1, 1, 1, 0, 1, 2)), [], kind="phases"),
    System("partial_unfreeze", cases((0, 1, 1, 0, 1, 2)), [], kind="phases"),
    System("end_to_end", JUDGED, [], kind="phases"),
    System("end_to_end (tta)", JUDGED, [], kind="test-time augmentation"),
]


def told(judge: FakeJudge, pictures: int = 24, previous: Path | None = None) -> Report:
    values = Evaluate(pictures=pictures, draws=100)
    return tell(
        cast(Judge, judge), SYSTEMS, tabulate(SYSTEMS, STATISTICS, 0, 100), "toy", values, Path("model"), previous
    )


def test_the_worst_mistakes_of_each_class_are_shown_before_the_second_worst_of_any() -> None:
    judge = FakeJudge()
    report = told(judge)
    assert {label: [(one.case, one.predicted) for one in found] for label, found in report.mistakes.items()} == {
        "healthy": [],
        "rust": [("leaf-2", "scab"), ("leaf-3", "healthy"), ("leaf-1", "healthy")],
        "scab": [("leaf-4", "healthy")],
    }
    assert judge.asked == ["leaf-2", "leaf-4", "leaf-3", "leaf-1"]
    few = told(judge, pictures=2)
    assert judge.asked == ["leaf-2", "leaf-4"]
    page = render(few)
    assert "Worst mistakes by class" in page
    assert "No case of this class was taken for another." in page
    assert "rust taken for scab" in page
    assert page.count("<article") == 2


def test_statistics_are_told_for_systems_classes_and_indicators() -> None:
    report = told(FakeJudge())
    assert report.systems[3].metrics["f1_macro"].mean == f1_macro(evidence_of(JUDGED).arrays)
    assert list(report.by_class) == list(CLASSES)
    assert report.by_class["rust"]["recall"].mean == 0
    (progress,) = report.progress
    assert progress.where == "test split"
    assert list(progress.by_system) == ["untrained", "warmup", "partial_unfreeze", "end_to_end"]
    assert progress.by_system["untrained"] == pytest.approx(f1_macro(evidence_of(SYSTEMS[0].cases).arrays))
    page = render(report)
    assert '<th scope="col">recall</th>' in page
    assert "recall:rust" not in page, "what is told by class is told once"


def test_reliability_counts_every_case() -> None:
    found = told(FakeJudge()).reliability
    assert found is not None
    assert sum(found.count) == len(JUDGED)
    assert sum(n * share for n, share in zip(found.count, found.accuracy, strict=True)) == pytest.approx(2)
    assert list(found.confidence) == sorted(found.confidence)


def test_the_run_before_is_compared_by_statistics_where_its_classes_were_the_same(tmp_path: Path) -> None:
    before = [case(n, int(one.evidence["truth"]), int(one.evidence["truth"])) for n, one in enumerate(JUDGED)]
    file = tmp_path / "run" / "evaluate" / "cases.csv"
    file.parent.mkdir(parents=True)
    file.write_text(cases_csv([System("end_to_end", before, [])], CLASSES), encoding="utf-8")
    report = told(FakeJudge(), previous=file)
    assert report.previous is not None
    changes = {change.metric: change for change in report.previous.changes}
    assert set(changes) == {"accuracy", "probability_of_truth", "f1_macro"}
    assert changes["f1_macro"].before.mean == 1
    assert changes["f1_macro"].difference.mean == pytest.approx(f1_macro(evidence_of(JUDGED).arrays) - 1)
    file.write_text(cases_csv([System("end_to_end", before, [])], ("a", "b", "c")), encoding="utf-8")
    report = told(FakeJudge(), previous=file)
    assert report.previous is not None
    assert {change.metric for change in report.previous.changes} == {"accuracy", "probability_of_truth"}
