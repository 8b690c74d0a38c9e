"""What is written of cases comes back: statistics are computed from the file as from memory."""

import csv
from pathlib import Path

import numpy as np
import pytest
from classified import CLASSES, cases

from components.core.errors import BadInput
from components.core.metrics.classification import f1_macro
from components.evaluate.cases import cases_csv, evidence_columns, read_cases
from components.evaluate.system import System, evidence_of
from components.recipes.contract import CasePrediction

PREDICTED = (0, 1, 1, 0, 2, 2, 0)


def written(folder: Path, *systems: System, classes: tuple[str, ...] = CLASSES) -> Path:
    file = folder / "cases.csv"
    file.write_text(cases_csv(systems, classes), encoding="utf-8")
    return file


def test_evidence_is_headed_by_the_classes(tmp_path: Path) -> None:
    file = written(tmp_path, System("end_to_end", cases(PREDICTED), []))
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        *("system", "id", "label", "group", "accuracy", "probability_of_truth"),
        *("evidence:truth", "evidence:probability:healthy", "evidence:probability:rust", "evidence:probability:scab"),
    ]
    assert rows[2]["evidence:truth"] == "2.0"
    assert float(rows[2]["evidence:probability:rust"]) == 0.8


def test_cases_come_back_as_they_were(tmp_path: Path) -> None:
    judged = cases(PREDICTED, sure=1 / 3 + 0.1)
    plain = CasePrediction('odd, "id"', "healthy", "plant", {"accuracy": float("nan")})
    table = read_cases(written(tmp_path, System("end_to_end", judged, []), System("other", [plain], [])))
    assert list(table.systems) == ["end_to_end", "other"]
    for one, other in zip(table.systems["end_to_end"], judged, strict=True):
        assert (one.id, one.label, one.group, one.scores) == (other.id, other.label, other.group, other.scores)
        assert {name: array.tolist() for name, array in one.evidence.items()} == {
            name: array.tolist() for name, array in other.evidence.items()
        }
    (empty,) = table.systems["other"]
    assert (empty.id, dict(empty.evidence)) == (plain.id, {})
    assert np.isnan(empty.scores["accuracy"])
    assert f1_macro(evidence_of(table.systems["end_to_end"]).arrays) == f1_macro(evidence_of(judged).arrays)
    assert table.columns == evidence_columns(judged, CLASSES) != evidence_columns(judged, ("a", "b", "c"))


def test_classes_that_do_not_tell_columns_apart_are_numbered() -> None:
    for names in ((), ("leaf", "leaf", "leaf"), ("a", "b")):
        columns = evidence_columns(cases((0,)), names)
        assert columns == ("evidence:truth", *(f"evidence:probability:{n}" for n in range(3)))


def test_a_class_may_have_a_colon_in_its_name(tmp_path: Path) -> None:
    judged = cases((0, 1))
    table = read_cases(written(tmp_path, System("s", judged, []), classes=("a:b", "c", "evidence:")))
    assert table.systems["s"][1].evidence["probability"].tolist() == judged[1].evidence["probability"].tolist()


@pytest.mark.parametrize("text", ["", "id,dice\na,1\n", "system,id,label,group,dice\nx,a,l,g,high\n"])
def test_another_table_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"cases\.csv"):
        read_cases(file)


def test_evidence_that_is_no_row_of_numbers_is_refused() -> None:
    square = CasePrediction("a", "", "", {}, evidence={"map": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="dimensions"):
        cases_csv([System("s", [square], [])])
