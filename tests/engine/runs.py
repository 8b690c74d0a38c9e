"""A short phase of the toy task, run here, killed anywhere, compared to the bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from components.core.engine.job import Job, Result
from components.core.engine.legs import train
from components.core.engine.phase import Ema, Phase
from components.core.identity import Identity
from components.core.runtime import Cache, Checkpoints, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.engine.toy import ToyTask

PHASE = Phase(
    epochs=4,
    batch_size=3,
    accumulate=2,
    trainable={"head": 0.05, "block": 0.02},
    losses={"mse": 1.0},
    warmup_steps=100,
    ema=Ema(decay=0.9),
    views=2,
)


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


def job(task: ToyTask, store: Path, phase: Phase = PHASE, **changes: Any) -> Job:
    runtime = changes.pop("runtime", {})
    settings = {"store": None, "every_steps": 1, **changes.pop("checkpoints", {})}
    values = {
        "task": task,
        "phase": phase,
        "name": "toy",
        "seed": 5,
        "runtime": Runtime(
            device="cpu",
            progress=False,
            cache=Cache(dir=store / "cache"),
            checkpoints=Checkpoints(**settings),
            **runtime,
        ),
        "dataset": None,
        "start": None,
        "identity": Identity("toy", "code", {"phase": phase.model_dump(mode="json")}, {}),
        "store": str(store / "run"),
    }
    return Job(**{**values, **changes})


def run(given: Job) -> Result:
    with Tracker(given.runtime, RunLabels("toy", "toy")) as tracker:
        return train(given, tracker)


def assert_same(found: Result, expected: Result) -> None:
    for name, value in expected.weights.items():
        assert torch.equal(found.weights[name], value), name
    assert found.history == expected.history
    assert (found.summary, found.decision, found.steps) == (expected.summary, expected.decision, expected.steps)


def kill_at(call: int) -> Callable[[], None]:
    seen = [0]

    def count() -> None:
        seen[0] += 1
        if seen[0] == call:
            raise Killed

    return count
