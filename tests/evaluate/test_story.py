"""What the report tells: worst cases first, the run before, and indicators of success as they were measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from components.core.report.render import render
from components.core.report.report import Report
from components.evaluate.cases import cases_csv
from components.evaluate.results import tabulate
from components.evaluate.story import tell
from components.evaluate.system import System
from components.evaluate.systems import Judge
from components.evaluate.values import Evaluate
from components.recipes.contract import CasePrediction, Indicator

VALUES = Evaluate(pictures=2, draws=100)
CARD = SimpleNamespace(counts={"test": {"tissue": 4}}, synthetic=False, warnings=["Groups inferred."])
INDICATORS = (Indicator("alpha", "between 0.2 and 0.4"), Indicator("dice", "rises with every phase"))


def cases(dice: Mapping[str, float]) -> list[CasePrediction]:
    return [CasePrediction(case, "tissue", f"patient-{case}", {"dice": value}) for case, value in dice.items()]


@dataclass
class FakeJudge:
    """Paints what it is asked for."""

    indicators: Sequence[Indicator] = INDICATORS
    asked: list[str] = field(default_factory=list)
    seed: int = 0

    @property
    def task(self) -> Any:
        return SimpleNamespace(
            headline="dice",
            ranking="dice",
            monitor="dice",
            indicators=self.indicators,
            statistics={},
            lower_is_better=frozenset(),
            confusion=lambda _: None,
        )

    @property
    def dataset(self) -> Any:
        return SimpleNamespace(card=CARD, digest="d" * 64)

    def pictures(self, folder: Path, shown: Sequence[str]) -> list[CasePrediction]:
        self.asked = list(shown)
        picture = np.zeros((4, 4, 3), np.uint8)
        return [CasePrediction(case, "", "", {"dice": -1.0}, {"truth": picture}) for case in sorted(shown)]


SYSTEMS = [
    System("untrained", cases({"a": 0.1, "b": 0.1, "c": 0.1, "d": math.nan}), [], kind="untrained"),
    System(
        "warmup",
        cases({"a": 0.3, "b": 0.3, "c": 0.3, "d": math.nan}),
        [{"epoch": 0.0, "train/loss": 2.0}, {"epoch": 1.0, "train/loss": 1.5, "val/dice": 0.3}],
        {"dice": 0.3, "alpha": 0.15},
        "phases",
    ),
    System("partial_unfreeze", cases({"a": 0.4, "b": 0.4, "c": 0.4, "d": math.nan}), [], {"alpha": 0.2}, "phases"),
    System("end_to_end", cases({"a": 0.9, "b": 0.2, "c": 0.5, "d": math.nan}), [], {"alpha": 0.25}, "phases"),
    System("end_to_end (swapped)", cases({"a": 0.0, "b": 0.0, "c": 0.0, "d": math.nan}), [], kind="controls"),
    System("otsu", cases({"a": 0.6, "b": 0.6, "c": 0.6, "d": math.nan}), []),
]


def told(judge: FakeJudge, previous: Path | None = None, systems: Sequence[System] = SYSTEMS) -> Report:
    return tell(cast(Judge, judge), systems, tabulate(systems, {}, 0, 100), "toy", VALUES, Path("model"), previous)


def test_pictures_are_asked_of_the_worst_cases_and_scores_stay_those_that_were_counted() -> None:
    judge = FakeJudge()
    report = told(judge)
    assert judge.asked == ["b", "c"], "worst first; what is undefined is no worst case"
    assert [case.id for case in report.cases if case.pictures] == ["b", "c"]
    assert [case.scores["dice"] for case in report.cases][:3] == [0.9, 0.2, 0.5]


def test_systems_are_told_in_order_and_of_their_kinds() -> None:
    report = told(FakeJudge())
    assert [(system.name, system.kind) for system in report.systems] == [
        ("untrained", "untrained"),
        ("warmup", "phases"),
        ("partial_unfreeze", "phases"),
        ("end_to_end", "phases"),
        ("end_to_end (swapped)", "controls"),
        ("otsu", "baselines"),
    ]
    assert report.systems[0].metrics["dice"].n == 3
    losses, monitor = (curve for curve in report.curves if curve.phase == "warmup")
    assert (losses.name, list(losses.x), list(losses.y)) == ("train/loss", [0.0, 1.0], [2.0, 1.5])
    assert (monitor.name, list(monitor.x), list(monitor.y)) == ("val/dice", [1.0], [0.3])


def test_indicators_are_measured_before_training_and_after_every_phase() -> None:
    report = told(FakeJudge())
    alpha, dice = report.progress
    assert (alpha.where, alpha.hoped) == ("validation", "between 0.2 and 0.4")
    assert alpha.by_system == {"untrained": None, "warmup": 0.15, "partial_unfreeze": 0.2, "end_to_end": 0.25}
    assert dice.where == "test split, mean"
    assert dice.by_system == {
        "untrained": pytest.approx(0.1),
        "warmup": pytest.approx(0.3),
        "partial_unfreeze": pytest.approx(0.4),
        "end_to_end": pytest.approx(1.6 / 3),
    }
    assert report.facts["alpha of end_to_end"] == "0.250"
    page = render(report)
    assert "Success indicators" in page and "rises with every phase" in page
    assert "Success indicators" not in render(told(FakeJudge(indicators=())))


def test_the_run_before_is_compared_case_by_case(tmp_path: Path) -> None:
    before = [
        System("end_to_end", cases({"a": 0.5, "b": 0.1, "d": 0.4, "gone": 1.0}), []),
        System("warmup", cases({"a": 0.0}), []),
    ]
    file = tmp_path / "run-41" / "evaluate" / "cases.csv"
    file.parent.mkdir(parents=True)
    file.write_text(cases_csv(before), encoding="utf-8")
    report = told(FakeJudge(), file)
    assert report.previous is not None
    (change,) = report.previous.changes
    assert (report.previous.name, change.metric) == ("run-41", "dice")
    assert (change.difference.n, change.difference.undefined) == (2, 1), "c is new, one is gone, d is undefined now"
    assert change.difference.mean == pytest.approx((0.4 + 0.1) / 2)
    page = render(report)
    assert "Compared with the previous run" in page and "run-41" in page
    assert "Compared with the previous run" not in render(told(FakeJudge()))
