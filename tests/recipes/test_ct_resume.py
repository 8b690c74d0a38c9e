"""ct_abnormality killed in mid-phase, with boxes, averages and growing slices, ends with the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from ct_volumes import Made, volumes

from components.core.data.dataset import Dataset
from components.core.engine.job import Job, Result
from components.core.engine.legs import train
from components.core.engine.phase import Phase
from components.core.engine.task import Batch, Features, Objective
from components.core.identity import Identity
from components.core.runtime import Cache, Checkpoints, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.recipes.ct_abnormality.augment_config import CtAugment
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.task import CtTask

MODEL = ModelConfig.model_validate({
    "backbone": {"name": "resnet10t", "arguments": {"channels": [8, 8, 16, 16], "stem_width": 8}},
    "image_size": 32,
    "slices": 2,
    "attention": {"kind": "cbam"},
})  # fmt: skip
PHASE = Phase.model_validate({
    "epochs": 2,
    "batch_size": 2,
    "accumulate": 2,
    "trainable": {"head": 1.0e-3, "attention": 1.0e-3, "backbone.stage4.*": 1.0e-3},
    "losses": {"asl": 0.1, "focal": 0.5},
    "views": 0,
    "mix": {"per": "pair", "probability": 0.5},
    "ema": {"decay": 0.9},
})  # fmt: skip


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


class Mortal(CtTask):
    """Dies in a certain micro-batch."""

    calls = 0
    last = 0

    def objective(self, model: Any, batch: Batch, features: Features, losses: Any) -> Objective:
        self.calls += 1
        if self.calls == self.last:
            raise Killed
        return super().objective(model, batch, features, losses)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return volumes(tmp_path_factory.mktemp("volumes"), Made(slices=3))


def trained(dataset: Dataset, folder: Path, last: int = 0) -> Result:
    task = Mortal(MODEL, CtAugment(sizes={0: 24, 1: 32}), dataset.card)
    task.last = last
    runtime = Runtime(
        device="cpu",
        progress=False,
        workers=0,
        cache=Cache(dir=folder / "cache"),
        checkpoints=Checkpoints(every_steps=1),
    )
    job = Job(
        task, PHASE, "partial_unfreeze", 0, runtime, dataset, None, Identity("ct", "code", {}, {}), str(folder / "run")
    )
    with Tracker(runtime, RunLabels("ct_abnormality", "partial_unfreeze")) as tracker:
        return train(job, tracker)


def test_a_phase_killed_in_the_middle_ends_with_the_same_bits(dataset: Dataset, tmp_path: Path) -> None:
    expected = trained(dataset, tmp_path / "whole")
    with pytest.raises(Killed):
        trained(dataset, tmp_path / "killed", last=8)
    found = trained(dataset, tmp_path / "killed")
    assert expected.weights.keys() == found.weights.keys()
    assert [name for name, value in expected.weights.items() if not torch.equal(found.weights[name], value)] == []
    assert found.history == expected.history and found.summary == expected.summary
