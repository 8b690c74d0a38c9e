"""Choices that are made once training has ended: of the weights handed on, on the split that was kept for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy import ToyExamples, ToyTask

from components.core.engine.fitting import fitted
from components.core.engine.job import Job, Result
from components.core.engine.order import epoch_of, fresh_key, view_key
from components.core.engine.phase import Phase
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime


@dataclass(frozen=True)
class Parts:
    """A dataset as far as fitting asks it."""

    parts: Mapping[str, int]

    def rows(self, split: str) -> list[int]:
        return list(range(self.parts.get(split, 0)))


@dataclass
class FittingTask(ToyTask):
    """Fits the mean of what the toy measures."""

    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def examples(self, dataset: object, split: str) -> ToyExamples:
        self.asked.append(split)
        return super().examples(dataset, split)

    def fit(self, measured: dict[str, Tensor], split: str) -> dict[str, str]:
        return {"mean": repr(float(measured["error"].double().mean())), "on": f"{split} {len(measured['error'])}"}


def job(task: Any, folder: Path, parts: Mapping[str, int]) -> Job:
    runtime = Runtime(device="cpu", progress=False, workers=0, cache=Cache(dir=folder))
    phase = Phase(epochs=1, trainable={"head": 1e-3}, losses={"mse": 1.0}, batch_size=3)
    return Job(task, phase, "warmup", 0, runtime, Parts(parts), None, Identity("warmup", "", {}, {}), str(folder))  # type: ignore[arg-type]


def result(task: ToyTask, scale: float, steps: int = 1) -> Result:
    weights = {name: value * scale for name, value in task.build_model(0).state_dict().items()}
    return Result(weights, None, [], {}, {}, steps, 0, [], {})


@pytest.mark.parametrize(("parts", "split"), [({"val": 7, "calibration": 7}, "calibration"), ({"val": 7}, "val")])
def test_the_split_kept_for_it_is_measured(tmp_path: Path, parts: Mapping[str, int], split: str) -> None:
    task = FittingTask()
    found = fitted(job(task, tmp_path, parts), result(task, 1.0))
    assert task.asked == [split] and found["on"] == f"{split} 7"


def test_what_is_handed_on_is_measured_in_eval_mode(tmp_path: Path) -> None:
    task = FittingTask()
    given = job(task, tmp_path, {"val": 7})
    first, again, other = (fitted(given, result(task, scale)) for scale in (1.0, 1.0, 0.5))
    assert first == again != other
    model = task.build_model(0).eval()
    examples = task.examples(None, "val")
    batch = examples.load(range(7), [()] * 7, frozenset({"x", "y", "word"}))
    with torch.no_grad():
        expected = task.measure(model, batch, {}, {"mse": 1.0})["error"].double().mean()
    assert float(first["mean"]) == pytest.approx(float(expected))


def test_a_task_that_fits_nothing_is_asked_nothing(tmp_path: Path) -> None:
    assert fitted(job(ToyTask(), tmp_path, {}), result(ToyTask(), 1.0)) == {}
    task = FittingTask()
    assert fitted(job(task, tmp_path, {"val": 7}), result(task, 1.0, steps=0)) == {} and not task.asked


def test_a_fresh_view_tells_its_epoch() -> None:
    assert epoch_of(fresh_key(3, 7, 11)) == 11
    assert [epoch_of(view_key(3, 7, view)) for view in (0, 1)] == [None, None]
