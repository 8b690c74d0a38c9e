"""An evaluation that is made anew is compared with the one it replaces; a finished one stays finished."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from components.core.stage import Stage, StageConfig
from pipelines import local
from pipelines.local import Run
from pipelines.wiring import NODES


class Config(StageConfig):
    """What changes the toy's cases."""

    uses: ClassVar = ("seed",)
    seed: int = 0


@dataclass(frozen=True)
class Inputs:
    previous: Path | None = None


@dataclass(frozen=True)
class Outputs:
    metrics: Path
    report: Path
    cases: Path


class Toy:
    """A stage that writes its seed as its cases, and tells what it was compared with."""

    def __init__(self) -> None:
        self.compared: list[str | None] = []
        self.dies = False

    def run(self, config: Config, inputs: Inputs, outputs: Outputs) -> None:
        self.compared.append(inputs.previous.read_text() if inputs.previous else None)
        if self.dies:
            raise KeyboardInterrupt
        outputs.metrics.write_text("{}")
        outputs.report.write_text("report")
        outputs.cases.write_text(f"seed {config.seed}")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy()
    stage = Stage("evaluate", "", Config, Inputs, Outputs, made.run)
    monkeypatch.setattr(local.stages, "load", lambda _: stage)
    monkeypatch.setattr(local, "configure", lambda _, values, __: Config.model_validate(values))
    return made


def evaluate(folder: Path, **values: object) -> bool:
    node = next(node for node in NODES if node.stage == "evaluate")
    alone = type(node)("evaluate", former=node.former)
    run = Run("toy", "tiny", values, "test", None, folder)
    return local.step_of(run, alone, {}).execute(folder / "evaluate")


def test_the_former_cases_are_kept_when_the_evaluation_is_made_anew(toy: Toy, tmp_path: Path) -> None:
    assert evaluate(tmp_path, seed=1)
    assert evaluate(tmp_path, seed=2)
    assert evaluate(tmp_path, seed=3)
    assert toy.compared == [None, "seed 1", "seed 2"]
    assert (tmp_path / "evaluate" / "previous.csv").read_text() == "seed 2"
    assert (tmp_path / "evaluate" / "cases.csv").read_text() == "seed 3"


def test_a_finished_evaluation_stays_finished(toy: Toy, tmp_path: Path) -> None:
    for seed in (1, 2):
        assert evaluate(tmp_path, seed=seed)
        assert not evaluate(tmp_path, seed=seed)
        assert not evaluate(tmp_path, seed=seed)
    assert toy.compared == [None, "seed 1"]


def test_one_that_was_interrupted_is_compared_with_the_same(toy: Toy, tmp_path: Path) -> None:
    evaluate(tmp_path, seed=1)
    toy.dies = True
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, seed=2)
    toy.dies = False
    assert evaluate(tmp_path, seed=2)
    assert not evaluate(tmp_path, seed=2)
    assert toy.compared == [None, "seed 1", "seed 1"]


def test_one_that_is_restarted_is_compared_too(toy: Toy, tmp_path: Path) -> None:
    evaluate(tmp_path, seed=1)
    assert evaluate(tmp_path, seed=1, runtime={"restart": True})
    assert not evaluate(tmp_path, seed=1)
    assert toy.compared == [None, "seed 1"]
