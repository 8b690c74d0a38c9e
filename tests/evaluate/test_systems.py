"""What is judged: phases, controls and yardsticks alike, and no more of them than is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.core.augment.joint import Augment
from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.engine.task import Batch, Examples, Features
from components.core.runtime import Cache, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.evaluate.systems import Judge
from components.recipes.contract import Baseline
from components.recipes.freqmedclip.task import FreqMedClipTask
from tests.recipes.judging import MODEL, TWO, drawn, square

HISTORY = [{"epoch": 0.0, "train/loss": 1.0}]


class Watched(FreqMedClipTask):
    """Counts models built and rows predicted, and takes note of the yardsticks' device."""

    def __init__(self) -> None:
        super().__init__(MODEL, Augment())
        self.built = 0
        self.rows: list[int] = []
        self.devices: list[str] = []

    def build_model(self, seed: int) -> nn.Module:  # type: ignore[override]
        self.built += 1
        return super().build_model(seed)

    def predict(self, model: nn.Module, batch: Batch, features: Features) -> dict[str, Tensor]:
        self.rows += batch["row"].tolist()
        return super().predict(model, batch, features)

    def controls(self, dataset: Dataset) -> Mapping[str, Examples]:
        swapped = super().controls(dataset)["swapped prompts"]
        return {"swapped": swapped, "as it is": self.examples(dataset, "test")}

    def baselines(self, seed: int, device: str) -> Sequence[Baseline]:
        self.devices.append(device)
        return ()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve pictures, a dark and a bright square in each."""
    masks = [np.maximum(square(4 + n, 4 + n), square(30, 40 - n, value=2)) for n in range(12)]
    return drawn(tmp_path_factory.mktemp("places"), masks, TWO)


@pytest.fixture(scope="module")
def model(places: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phase") / "model"
    trained = FreqMedClipTask(MODEL, Augment()).build_model(7)
    with torch.no_grad():  # an untrained head says nothing of the text: make it matter
        trained.saliency_head.log_scale.fill_(3.0)
    meta = ModelMeta(
        recipe={}, phase="end_to_end", step=1, decision={"mask": "saliency"}, history=HISTORY, data_digest=places.digest
    )
    ModelArtifact.save(folder, dict(trained.state_dict()), None, meta)
    return folder


@pytest.fixture(params=[True, False], ids=["cached", "computed"])
def judge(places: Dataset, request: pytest.FixtureRequest, tmp_path: Path) -> Judge:
    cache = Cache(enabled=request.param, dir=tmp_path / "cache")
    runtime = Runtime(device="cpu", progress=False, workers=0, cache=cache)
    return Judge(Watched(), places, 0, runtime, 4, Tracker(runtime, RunLabels("freqmedclip", "evaluate")))


def watched(judge: Judge) -> Watched:
    assert isinstance(judge.task, Watched)
    return judge.task


def test_controls_are_systems_of_one_model_on_the_same_samples(judge: Judge, model: Path) -> None:
    phase = judge.phase("end_to_end", model)
    assert phase.history == HISTORY
    built = watched(judge).built
    swapped, same = judge.controls("end_to_end", model)
    assert watched(judge).built == built + 1
    assert (swapped.name, same.name) == ("end_to_end (swapped)", "end_to_end (as it is)")
    assert [case.id for case in swapped.cases] == [case.id for case in phase.cases]
    assert [case.scores["saliency_sharpness"] for case in same.cases] == [
        case.scores["saliency_sharpness"] for case in phase.cases
    ]
    assert [case.scores for case in swapped.cases] != [case.scores for case in phase.cases]


def test_pictures_are_made_of_the_samples_asked_for_alone(judge: Judge, model: Path) -> None:
    cases = judge.phase("end_to_end", model).cases
    assert not any(case.pictures for case in cases)
    task = watched(judge)
    assert sorted(task.rows) == list(range(len(cases)))
    task.rows.clear()
    shown = [cases[4].id, cases[1].id]
    painted = judge.pictures(model, shown)
    assert task.rows == [1, 4]
    assert [case.id for case in painted] == [cases[1].id, cases[4].id]
    assert all(list(case.pictures) == ["image + truth", "saliency", "prediction"] for case in painted)
    assert painted[0].scores["saliency_sharpness"] == pytest.approx(cases[1].scores["saliency_sharpness"], rel=1e-4)
    task.rows.clear()
    assert judge.pictures(model, []) == []
    assert task.rows == []


def test_the_untrained_model_is_that_of_the_seed(judge: Judge, model: Path) -> None:
    untrained, trained = judge.untrained(), judge.phase("end_to_end", model)
    assert (untrained.name, untrained.history) == ("untrained", [])
    assert [case.id for case in untrained.cases] == [case.id for case in trained.cases]
    assert [case.scores for case in untrained.cases] != [case.scores for case in trained.cases]


def test_yardsticks_compute_where_the_model_does(judge: Judge) -> None:
    assert list(judge.baselines()) == []
    assert watched(judge).devices == ["cpu"]
