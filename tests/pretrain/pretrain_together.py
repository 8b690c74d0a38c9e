"""What the processes of one launch do in the tests of pretrain. Run as `python -m tests.pretrain.pretrain_together`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from components.core.engine.job import Job, Result
from components.core.engine.legs import train
from components.core.launch import place
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.engine.together import outcome
from tests.pretrain.toys import VALUES, ToyDataset, ToyRecipeTask, toy_job


def trained(job: Job) -> Result:
    with Tracker(job.runtime, RunLabels(recipe="toy", stage="pretrain", seed=0)) as tracker:
        return train(job, tracker)


def poison(x: Tensor) -> Tensor:
    """The first picture of the second process, while it trains."""
    if place().rank != 1 or not x.requires_grad:
        return x
    return x.index_fill(0, torch.tensor([0]), torch.nan)


def full(x: Tensor) -> Tensor:
    if x.requires_grad and len(x) > 2:
        raise torch.OutOfMemoryError("no room")
    return x


UNEVEN = VALUES.model_copy(update={"batch_size": 7})

SCENARIOS: dict[str, Callable[[Path], Result]] = {
    "uneven": lambda folder: trained(toy_job(folder, UNEVEN)),
    "one left over": lambda folder: trained(toy_job(folder, UNEVEN, dataset=ToyDataset(each=11))),
    "batch norm": lambda folder: trained(toy_job(folder, UNEVEN, ToyRecipeTask(norm=True))),
    "poisoned": lambda folder: trained(toy_job(folder, task=ToyRecipeTask(spoil=poison))),
    "too large": lambda folder: trained(toy_job(folder, task=ToyRecipeTask(spoil=full))),
}


def main(folder: Path) -> None:
    for name, scenario in SCENARIOS.items():
        found = outcome(scenario, folder / name)
        (folder / f"{name}.{place().rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
