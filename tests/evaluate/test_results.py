"""The numbers that are published: differences between the right systems, over the right cases, with the right sign."""

import csv
import io
import math
from collections.abc import Mapping

import pytest

from components.evaluate.cases import cases_csv
from components.evaluate.results import metrics, tabulate
from components.evaluate.system import System
from components.recipes.contract import CasePrediction

NAN = math.nan
DIGESTS = {"warmup": "a", "partial_unfreeze": "b", "end_to_end": "c"}


def system(name: str, dice: Mapping[str, float], **more: float) -> System:
    """One case per patient; labels alternate."""
    cases = [
        CasePrediction(case, f"label-{number % 2}", f"patient-{case}", {"dice": value, **more})
        for number, (case, value) in enumerate(dice.items())
    ]
    return System(name, cases, [])


@pytest.fixture
def systems() -> list[System]:
    return [
        system("untrained", {"a": 0.1, "b": 0.2, "c": NAN}),
        system("warmup", {"a": 0.3, "b": 0.5, "c": NAN}),
        system("partial_unfreeze", {"a": 0.4, "b": NAN, "c": 0.9}),
        system("end_to_end", {"a": 0.8, "b": 0.6, "c": 0.7}),
        system("end_to_end (swapped prompts)", {"c": 0.2, "b": 0.1, "a": 0.3}),
        system("otsu", {"a": 0.9, "b": 0.8, "c": 0.7}),
    ]


def test_differences_are_between_phases_in_turn_and_of_the_last_to_every_other_system(systems: list[System]) -> None:
    found = metrics(systems, tabulate(systems, {}, 0, 100), DIGESTS, "dice", 0, 100)["differences"]
    assert list(found) == [
        "warmup - untrained",
        "partial_unfreeze - warmup",
        "end_to_end - partial_unfreeze",
        "end_to_end - untrained",
        "end_to_end - warmup",
        "end_to_end - end_to_end (swapped prompts)",
        "end_to_end - otsu",
    ]


def test_differences_pair_the_cases_where_both_are_defined(systems: list[System]) -> None:
    found = metrics(systems, tabulate(systems, {}, 0, 100), DIGESTS, "dice", 0, 100)["differences"]
    expected = {
        "warmup - untrained": (2, 0.25),
        "partial_unfreeze - warmup": (1, 0.1),
        "end_to_end - partial_unfreeze": (2, 0.1),
        "end_to_end - end_to_end (swapped prompts)": (3, 0.5),  # by id, not by place
        "end_to_end - otsu": (3, -0.1),
    }
    for name, (n, mean) in expected.items():
        assert (found[name]["n"], found[name]["undefined"]) == (n, 3 - n), name
        assert found[name]["mean"] == pytest.approx(mean), name


def test_systems_labels_and_digests_are_told(systems: list[System]) -> None:
    found = metrics(systems, tabulate(systems, {}, 0, 100), DIGESTS, "dice", 0, 100)
    assert found["models"] == DIGESTS
    assert found["headline"] == "dice"
    assert list(found["systems"]) == list(found["labels"]) == [one.name for one in systems]
    untrained = found["systems"]["untrained"]["dice"]
    assert (untrained["n"], untrained["undefined"], untrained["mean"]) == (2, 1, pytest.approx(0.15))
    by_label = found["labels"]["end_to_end"]
    assert {label: row["dice"]["mean"] for label, row in by_label.items()} == {
        "label-0": pytest.approx(0.75),
        "label-1": pytest.approx(0.6),
    }


def test_what_is_undefined_is_an_empty_cell() -> None:
    some = System("otsu", [CasePrediction("z", "", "p", {"dice": 1 / 3})], [])
    text = cases_csv([system("warmup", {"a": 0.5, "b": NAN}, area=2.0), some])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [list(row.values()) for row in rows] == [
        ["warmup", "a", "label-0", "patient-a", "2.0", "0.5"],
        ["warmup", "b", "label-1", "patient-b", "2.0", ""],
        ["otsu", "z", "", "p", "", repr(1 / 3)],
    ]
    assert list(rows[0]) == ["system", "id", "label", "group", "area", "dice"]
    assert "nan" not in text
