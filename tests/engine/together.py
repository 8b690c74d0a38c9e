"""What the processes of one launch do in the tests of ranks: every scenario in turn, its outcome as JSON.

Run as `python -m tests.engine.together FOLDER`, once for each process.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from components.core.augment.mixing import Mix
from components.core.engine.gather import gather, own_rows
from components.core.engine.job import Result
from components.core.engine.order import epoch_order
from components.core.engine.phase import Ema, Phase
from components.core.engine.ranks import here
from components.core.engine.task import Batch, Features, Objective
from components.core.errors import BadInput, ThawError
from components.core.identity import Identity
from components.core.launch import place
from tests.engine.runs import job, run
from tests.engine.toy import ToyExamples, ToyModel, ToyTask

PHASE = Phase(
    epochs=3,
    batch_size=3,
    accumulate=2,
    trainable={"head": 0.05, "block": 0.02},
    losses={"mse": 1.0},
    ema=Ema(decay=0.9),
    clip=0.05,
    views=2,
)

RARE = {"every_steps": 0}
"""Checkpoints at the ends of epochs alone."""

SECONDS = int(epoch_order(5, 0, 23)[22])
"""A sample that the second of two processes trains on, at the end of the first epoch of 23."""


class Still(ToyTask):
    """Without dropout, whose masks depend on how a window is cut; with batch norm where asked for."""

    def __init__(self, train: int = 23, coupled: str = "", norm: bool = False) -> None:
        super().__init__(train, coupled, norm)

    def build_model(self, seed: int) -> nn.Module:
        model = super().build_model(seed)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        if self.norm:  # a bias before a batch norm has no gradient but rounding, which Adam would scale up
            model.block[0].register_parameter("bias", None)
        return model

    def summarise(self, measured: dict[str, Tensor]) -> dict[str, float]:
        """Tells rows that are missing, doubled or out of order."""
        error = measured["error"].double()
        places = float((error * torch.arange(len(error))).sum())
        return {**super().summarise(measured), "rows": float(len(error)), "places": places}


class Coupled(Still):
    """Every sample is compared with all samples of its batch, whichever process has them."""

    def __init__(self, train: int) -> None:
        super().__init__(train, coupled="samples are compared")

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        plain = super().objective(model, batch, features, losses)
        hidden = model.block(features["stem"])
        everyone = gather(hidden)
        alike = torch.logsumexp(hidden @ everyone.T, dim=1) - (everyone[own_rows(len(everyone))] * hidden).sum(dim=1)
        return Objective({**plain.terms, "alike": alike}, {"batch": float(len(everyone))})


class Scarce(Still):
    """The second process has little memory."""

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        self.memory = 1 if place().rank == 1 else None
        return super().objective(model, batch, features, losses)


class ScarceCoupled(Coupled):
    """The same where the batch must stay whole: the first process waits for what the second one cannot compute."""

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        self.memory = 2 if place().rank == 1 else None
        return super().objective(model, batch, features, losses)


class Broken(Still):
    """The second process meets a bug."""

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        if place().rank == 1:
            raise RuntimeError("a bug")
        return super().objective(model, batch, features, losses)


class Unreadable(Still):
    """One sample cannot be loaded, so the process that draws it stops before its step."""

    def examples(self, dataset: object, split: str) -> ToyExamples:
        found = super().examples(dataset, split)

        def load(rows: Any, *given: Any) -> Batch:
            if SECONDS in rows and split == "train":
                raise BadInput("this picture is broken", where=f"train-{SECONDS}", remedy="mend it")
            return ToyExamples.load(found, rows, *given)

        found.load = load
        return found


def poisoned() -> ToyTask:
    task = Still()
    task.poison = {SECONDS}
    return task


def asked_to_stop() -> ToyTask:
    """SIGTERM reaches the second process alone, in its fourth micro-batch."""
    task, calls = Still(), []

    def count() -> None:
        calls.append(1)
        if place().rank == 1 and len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    task.on_objective = count
    return task


def mixed(mix: Mix, views: int) -> Phase:
    return PHASE.model_copy(update={"mix": mix, "views": views, "accumulate": 3})


EQUAL: dict[str, Callable[[Path], Result]] = {
    "accumulation": lambda folder: run(job(Still(), folder, PHASE)),
    "uneven": lambda folder: run(job(Still(11), folder, PHASE.model_copy(update={"accumulate": 1}))),
    "fewer samples than processes": lambda folder: run(job(Still(7), folder, PHASE)),
    "coupled": lambda folder: run(job(Coupled(23), folder, PHASE)),
    "coupled, fewer": lambda folder: run(job(Coupled(10), folder, PHASE)),
    "batch norm": lambda folder: run(job(Still(20, norm=True), folder, PHASE)),
    "mixed features": lambda folder: run(job(Still(), folder, mixed(Mix(cutmix=0, where="features", per="pair"), 2))),
    "out of memory": lambda folder: run(job(Scarce(), folder, PHASE)),
}
"""What several processes end with as one does."""


def _other_values(folder: Path) -> Result:
    given = job(Still(), folder, PHASE)
    return run(replace(given, identity=Identity("toy", "code", {"epochs": place().rank}, {})))


FAILING: dict[str, Callable[[Path], Result]] = {
    "poisoned": lambda folder: run(job(poisoned(), folder, PHASE)),
    "broken": lambda folder: run(job(Broken(), folder, PHASE)),
    "unreadable": lambda folder: run(job(Unreadable(), folder, PHASE)),
    "too large": lambda folder: run(job(ScarceCoupled(23), folder, PHASE.model_copy(update={"batch_size": 8}))),
    "other values": _other_values,
    "stopped": lambda folder: run(job(asked_to_stop(), folder, PHASE, checkpoints=RARE)),
}
"""What ends all processes, whichever of them it happens to."""


def _goes_on(folder: Path) -> Result:
    """The step in which one process was asked to stop was saved: it is not done again."""
    task, calls = Still(), []
    task.on_objective = lambda: calls.append(1)
    result = run(job(task, folder, PHASE, checkpoints=RARE))
    assert len(calls) == result.steps - 4, calls
    return result


RESUMED: dict[str, Callable[[Path], Result]] = {
    "dropout": lambda folder: run(job(ToyTask(norm=False), folder, PHASE)),
    "stopped": _goes_on,
}
"""What goes on after `FAILING` in the same folder, or stands alone."""


def plain(result: Result) -> dict[str, Any]:
    """A result as JSON."""
    weights = {name: value.tolist() for name, value in result.weights.items()}
    return {"weights": weights, "history": result.history, "summary": result.summary, "steps": result.steps}


def outcome(scenario: Callable[[Path], Result], folder: Path) -> dict[str, Any]:
    try:
        with here().together():
            return plain(scenario(folder))
    except ThawError as error:
        return {"error": type(error).__name__, "text": str(error), "code": error.exit_code}
    except RuntimeError as error:
        return {"error": type(error).__name__, "text": str(error), "code": 1}


def main(folder: Path) -> None:
    for kind, scenarios in {"equal": EQUAL, "failing": FAILING, "resumed": RESUMED}.items():
        for name, scenario in scenarios.items():
            found = outcome(scenario, folder / name)
            (folder / f"{kind} {name}.{place().rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
