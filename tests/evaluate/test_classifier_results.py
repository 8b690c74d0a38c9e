"""Classifiers: statistics beside means, the confusion matrix in every form that something reads."""

import csv
import io
import json
from collections.abc import Sequence

import pytest
from classified import CLASSES, STATISTICS, cases, confusion
from kfp.dsl import ClassificationMetrics

from components.core.component import confusion_metadata
from components.core.metrics.statistic import statistic_difference
from components.evaluate.classes import classes_csv
from components.evaluate.results import metrics, tabulate
from components.evaluate.system import System
from components.recipes.contract import CasePrediction

GOOD, POOR = (0, 1, 2, 0, 1, 2, 0, 1, 1), (0, 0, 2, 1, 1, 0, 0, 0, 1)


@pytest.fixture
def systems() -> list[System]:
    names = {"untrained": POOR, "warmup": POOR, "partial_unfreeze": GOOD, "end_to_end": GOOD}
    found = [System(name, cases(predicted), []) for name, predicted in names.items()]
    return [
        *found,
        System("end_to_end (tta)", cases(GOOD, 0.7), [], views=("identity", "flip_horizontal")),
        System("linear probe (untrained encoder)", cases(POOR), [], kind="probes"),
        System("linear probe (pretrained encoder)", cases(GOOD), [], kind="probes"),
    ]


def told(systems: Sequence[System]) -> dict[str, object]:
    shipped = confusion(systems[3].cases)
    return json.loads(
        json.dumps(metrics(systems, tabulate(systems, STATISTICS, 0, 200), {}, "f1_macro", 0, 200, STATISTICS, shipped))
    )  # type: ignore[no-any-return]


def test_statistics_stand_beside_the_means_of_scores(systems: list[System]) -> None:
    table = told(systems)["systems"]["end_to_end"]  # type: ignore[index]
    assert table["accuracy"]["mean"] == pytest.approx(8 / 9)
    assert table["accuracy"]["sd"] is not None
    f1 = table["f1_macro"]
    assert f1["mean"] == pytest.approx((1 + 6 / 7 + 4 / 5) / 3)
    assert f1["low"] < f1["mean"] <= f1["high"]
    assert table["recall:scab"]["mean"] == pytest.approx(2 / 3)
    assert table["precision:rust"]["mean"] == pytest.approx(3 / 4)


def test_a_headline_that_is_a_statistic_has_paired_differences(systems: list[System]) -> None:
    found = told(systems)["differences"]
    assert isinstance(found, dict)
    assert list(found) == [
        "warmup - untrained",
        "partial_unfreeze - warmup",
        "end_to_end - partial_unfreeze",
        "end_to_end - untrained",
        "end_to_end - warmup",
        "end_to_end - linear probe (untrained encoder)",
        "end_to_end - linear probe (pretrained encoder)",
        "end_to_end (tta) - end_to_end",
        "linear probe (pretrained encoder) - linear probe (untrained encoder)",
    ]
    good, poor = systems[3].evidence, systems[0].evidence
    expected = statistic_difference(STATISTICS["f1_macro"], good, poor, 0, 200)
    assert found["end_to_end - untrained"]["mean"] == pytest.approx(expected.mean)
    assert found["end_to_end - untrained"]["low"] == pytest.approx(expected.low)
    assert found["warmup - untrained"]["mean"] == found["warmup - untrained"]["high"] == 0


def test_views_bars_and_confusion_are_told(systems: list[System]) -> None:
    found = told(systems)
    assert found["views"]["end_to_end (tta)"] == ["identity", "flip_horizontal"]  # type: ignore[index]
    assert found["views"]["end_to_end"] == ["identity"]  # type: ignore[index]
    assert found["confusion"] == {"labels": list(CLASSES), "counts": [[3, 0, 0], [0, 3, 0], [0, 1, 2]]}
    bars = found["bars"]
    assert isinstance(bars, list)
    assert [row["label"] for row in bars] == list(CLASSES)
    assert bars[2]["recall"] == bars[2]["accuracy"] == pytest.approx(2 / 3)
    assert bars[1]["precision"] == pytest.approx(3 / 4)


def test_every_case_is_a_row_of_classes(systems: list[System]) -> None:
    rows = list(csv.DictReader(io.StringIO(classes_csv(systems[3], confusion))))
    assert [(row["actual"], row["predicted"]) for row in rows] == [
        (CLASSES[number % 3], CLASSES[one]) for number, one in enumerate(GOOD)
    ]


def test_a_recipe_without_classes_writes_the_heading_alone() -> None:
    segmented = System("end_to_end", [CasePrediction("a", "", "", {"dice": 1.0})], [])
    assert classes_csv(segmented, lambda _: None) == "actual,predicted\n"


def test_the_confusion_matrix_is_told_as_kfp_tells_it() -> None:
    counts = confusion(cases(POOR)).counts
    theirs = ClassificationMetrics()
    theirs.log_confusion_matrix(list(CLASSES), [list(row) for row in counts])
    assert confusion_metadata(CLASSES, counts) == theirs.metadata
