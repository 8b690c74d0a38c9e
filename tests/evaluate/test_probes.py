"""Linear probes: fitted on labelled train pictures alone, judged as the model is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from classified import CLASSES, case, confusion
from torch import Tensor, nn

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.data.pictures import Pictures
from components.core.engine.task import Encoder
from components.core.errors import BadInput
from components.core.runtime import Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.evaluate.systems import Judge
from components.recipes.contract import CasePrediction, RecipeTask

GREYS = (40, 120, 200)
"""Of the classes' pictures."""


class Brightness(nn.Module):
    """Sees how bright a picture is, where `scale` lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def embed(self, pictures: Tensor) -> Tensor:
        mean = pictures.mean(dim=(1, 2, 3))[:, None] * self.scale
        return torch.cat([mean, mean**2], dim=1)


class Classifier:
    """A task whose pictures are grey: train has 12 of each class and one without label, test 4 of each."""

    def __init__(self, classes: bool = True, encoder: bool = True, labelled: bool = True) -> None:
        self._classes, self._encoder, self._labelled = classes, encoder, labelled
        self.read: list[str] = []

    def build_model(self, seed: int) -> Brightness:
        return Brightness()

    def encoder(self, model: nn.Module) -> Encoder | None:
        chosen = cast(Brightness, model)
        return Encoder(chosen, chosen.embed, size=8, width=2) if self._encoder else None

    def confusion(self, cases: Sequence[CasePrediction]) -> Any:
        return confusion(cases) if self._classes else None

    def pictures(self, dataset: Dataset, splits: Sequence[str]) -> Pictures:
        (split,) = splits
        count = {"train": 36, "test": 12}[split]
        labels = [n % 3 for n in range(count)]

        def load(row: int) -> np.ndarray:
            self.read.append(f"{split}-{row}")
            noise = np.random.default_rng(row).integers(-15, 16, (10, 10, 3))
            return (GREYS[row % 3] + noise).astype(np.uint8)

        if split == "train":
            labels[5] = -1
        known = labels if self._labelled else [-1] * count
        ids = [f"{split}-{n}" for n in range(count)]
        return Pictures(ids, ids, known, load, digest=split)

    def score(
        self,
        dataset: Dataset,
        sample: str,
        predicted: Mapping[str, Tensor],
        decision: Mapping[str, str],
        pictures: bool,
    ) -> CasePrediction:
        assert list(predicted) == ["probability"] and not pictures
        row = predicted["probability"]
        assert row.shape == (3,) and row.sum() == pytest.approx(1)
        number = int(sample.removeprefix("test-"))
        return case(number, number % 3, int(row.argmax()))


def judge(task: Classifier) -> Judge:
    runtime = Runtime(device="cpu", progress=False, workers=0)
    dataset = cast(Dataset, SimpleNamespace(folder=Path("data")))
    tracker = Tracker(runtime, RunLabels("toy", "evaluate"))
    return Judge(cast(RecipeTask, task), dataset, 0, runtime, 5, tracker)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    meta = ModelMeta(recipe={}, phase="pretrain", step=1, scope="encoder")
    ModelArtifact.save(tmp_path / "encoder", {"scale": torch.ones(1)}, None, meta)
    return tmp_path / "encoder"


def accuracy(cases: Sequence[CasePrediction]) -> float:
    return float(np.mean([case.scores["accuracy"] for case in cases]))


def test_the_pretrained_encoder_is_judged_beside_the_untrained_one(encoder: Path) -> None:
    task = Classifier()
    untrained, pretrained = judge(task).probes(encoder)
    assert (untrained.name, untrained.kind) == ("linear probe (untrained encoder)", "probes")
    assert (pretrained.name, pretrained.kind) == ("linear probe (pretrained encoder)", "probes")
    assert accuracy(untrained.cases) == pytest.approx(1 / 3), "it sees nothing: one class for all"
    assert accuracy(pretrained.cases) == 1
    assert len(pretrained.cases) == 12
    assert "train-5" not in task.read, "a picture without label tells a probe nothing"


def test_an_encoder_without_weights_is_the_untrained_one(tmp_path: Path) -> None:
    meta = ModelMeta(recipe={}, phase="pretrain", step=0, scope="encoder")
    ModelArtifact.save(tmp_path / "encoder", {}, None, meta)
    assert [one.name for one in judge(Classifier()).probes(tmp_path / "encoder")] == [
        "linear probe (untrained encoder)"
    ]
    assert len(list(judge(Classifier()).probes(None))) == 1


def test_there_is_no_probe_without_classes_or_encoder(encoder: Path) -> None:
    assert list(judge(Classifier(classes=False)).probes(encoder)) == []
    assert list(judge(Classifier(encoder=False)).probes(encoder)) == []


def test_a_dataset_without_labels_is_refused() -> None:
    with pytest.raises(BadInput, match=r"evaluate\.probes"):
        list(judge(Classifier(labelled=False)).probes(None))


def test_classes_are_those_of_the_task() -> None:
    assert confusion([]).labels == CLASSES
