"""A recipe of three stages that take no time: what a study does around them is what is tested."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from components.core.stage import Stage, StageConfig
from pipelines import local, meter
from pipelines.local import Run
from pipelines.study import conduct, plan, results
from pipelines.wiring import Node

CASES = [("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"), ("d1", "d")]
"""Test cases with their patients."""


class Prepare(StageConfig):
    """The toy's data depend on the recipe alone."""

    uses: ClassVar = ("recipe.data",)
    recipe: dict[str, Any]


class Train(StageConfig):
    """The toy's training: what it learns is its gain."""

    uses: ClassVar = ("seed", "warmup")
    seed: int = 0
    warmup: dict[str, float]


class Evaluate(StageConfig):
    """The toy's evaluation."""

    uses: ClassVar = ("seed", "evaluate")
    seed: int = 0
    evaluate: dict[str, Any] = {}


@dataclass(frozen=True)
class Raw:
    raw: Path | None = None


@dataclass(frozen=True)
class Data:
    dataset: Path


@dataclass(frozen=True)
class Model:
    model: Path
    metrics: Path


@dataclass(frozen=True)
class Weights:
    weights: Path


@dataclass(frozen=True)
class Verdict:
    metrics: Path
    cases: Path


def write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


class Toys:
    """The stages, and what they were asked to do.

    Attributes:
        ran: Stage and gain of everything that was not skipped.
        before: Called as a stage starts; may raise.
    """

    def __init__(self) -> None:
        self.ran: list[tuple[str, float, int]] = []
        self.configs: list[StageConfig] = []
        self.before: Callable[[str, Path], None] = lambda _stage, _folder: None
        self.stages = {
            "prepare": Stage("prepare", "", Prepare, Raw, Data, self.prepare),
            "warmup": Stage("warmup", "", Train, Data, Model, self.train),
            "evaluate": Stage("evaluate", "", Evaluate, Weights, Verdict, self.evaluate),
        }

    def prepare(self, config: Prepare, inputs: Raw, outputs: Data) -> None:
        self.before("prepare", outputs.dataset.parent)
        self.ran.append(("prepare", 0.0, 0))
        outputs.dataset.mkdir()
        write(outputs.dataset / "card.json", {"synthetic": True, **config.recipe})

    def train(self, config: Train, inputs: Data, outputs: Model) -> None:
        self.before("warmup", outputs.model.parent)
        self.ran.append(("warmup", config.warmup["gain"], config.seed))
        self.configs.append(config)
        learnt = config.warmup["gain"] + 0.01 * config.seed
        write(outputs.model, learnt)
        write(outputs.metrics, {"probe": {"after": learnt, "name": "linear"}})

    def evaluate(self, config: Evaluate, inputs: Weights, outputs: Verdict) -> None:
        self.before("evaluate", outputs.metrics.parent)
        learnt = json.loads(inputs.weights.read_text(encoding="utf-8"))
        self.ran.append(("evaluate", learnt, config.seed))
        self.configs.append(config)
        with outputs.cases.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(["system", "id", "label", "group", "dice"])
            for number, (case, group) in enumerate(CASES):
                table.writerow(["untrained", case, "lesion", group, 0.1])
                table.writerow(["end_to_end", case, "lesion", group, 0.1 * number + learnt])
        systems = {"end_to_end": {"dice": {"mean": 0.2 + learnt}}}
        write(outputs.metrics, {"headline": "dice", "systems": systems})


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    """The walk, the plan and the results of a study, all of them over the toys."""
    made = Toys()
    nodes = (
        Node("prepare", parameters=("raw",)),
        Node("warmup", inputs={"dataset": "prepare.dataset"}),
        Node("evaluate", inputs={"weights": "warmup.model"}),
    )

    def configure(stage: Stage[Any, Any, Any], values: dict[str, Any], _source: str) -> StageConfig:
        fields = stage.config.model_fields
        return stage.config.model_validate({key: value for key, value in values.items() if key in fields})

    monkeypatch.setattr(local, "NODES", nodes)
    monkeypatch.setattr(local.stages, "load", lambda name: made.stages[name])
    for module in (local, plan):
        monkeypatch.setattr(module, "configure", configure)
    monkeypatch.setattr(results, "_statistics", lambda _one, _summary: {})
    monkeypatch.setattr(conduct, "trainable_by_epoch", lambda _run, _summary: [])
    monkeypatch.setattr(conduct, "paint", lambda found: json.dumps(found).encode())  # drawing takes a second
    monkeypatch.setattr(meter, "gc", SimpleNamespace(collect=lambda: 0))  # so does looking for garbage, in sum
    return made


def toy_run(out: Path, **changes: Any) -> Run:
    values = {"seed": 0, "recipe": {"name": "toy", "data": {}}, "warmup": {"gain": 0.2}, "evaluate": {}, **changes}
    return Run("toy", "tiny", values, "toy.yaml", None, out)
