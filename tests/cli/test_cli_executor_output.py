"""What a finished container tells the pipeline: numbers of the metrics, and the confusion matrix where there is one."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from components import stages
from components.cli.main import _tell_pipeline

DECLARED = {
    port: {"artifacts": [{"name": port, "uri": f"s3://runs/{port}"}]}
    for port in ("metrics", "report", "cases", "classes")
}
NUMBERS = {"headline": "f1", "systems": {"end_to_end": {"f1": {"mean": 0.5, "low": None}}}, "bars": [{"label": "a"}]}


def told(folder: Path, written: dict[str, Any]) -> dict[str, Any]:
    metrics, output = folder / "metrics.json", folder / "output" / "executor.json"
    metrics.write_text(json.dumps(written), encoding="utf-8")
    given = json.dumps({"outputs": {"artifacts": DECLARED}})
    _tell_pipeline(stages.load("evaluate"), Namespace(metrics=metrics, executor_input=given, executor_output=output))
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))["artifacts"]
    assert set(found) == set(DECLARED)
    return {port: one["artifacts"][0]["metadata"] for port, one in found.items()}


def test_the_confusion_matrix_goes_to_the_artifact_of_classes(tmp_path: Path) -> None:
    found = told(tmp_path, {**NUMBERS, "confusion": {"labels": ["rust", "scab"], "counts": [[3, 1], [0, 2]]}})
    assert found["classes"] == {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": "rust"}, {"displayName": "scab"}],
            "rows": [{"row": [3, 1]}, {"row": [0, 2]}],
        }
    }
    assert found["metrics"] == {"systems_end_to_end_f1_mean": 0.5}


@pytest.mark.parametrize("confusion", [{}, {"confusion": None}])
def test_a_recipe_without_classes_tells_no_matrix(confusion: dict[str, None], tmp_path: Path) -> None:
    assert told(tmp_path, {**NUMBERS, **confusion})["classes"] == {}


def test_an_artifact_carries_no_more_numbers_than_an_argument_holds(tmp_path: Path) -> None:
    """The next task is given them on its command line; the least nested ones say most."""
    many = {f"a long name of a group of patients {number}": {"f1": {"mean": 0.1, "low": 0.0}} for number in range(5000)}
    found = told(tmp_path, {"labels": {"end_to_end": many}, **NUMBERS, "steps": 3})["metrics"]
    assert found["steps"] == 3 and found["systems_end_to_end_f1_mean"] == 0.5
    assert 20_000 < len(json.dumps(found)) < 40_000
