"""No model is trained on, or judged by, another split than it was trained on: its train cases may be tested there."""

from pathlib import Path

import pytest
import torch

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.engine.phase import Phase
from components.core.engine.training import PhaseFiles, run_phases
from components.core.errors import BadInput
from components.core.identity import Identity
from components.core.runtime import Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.evaluate.systems import Judge
from tests.export.bundles import recipe, write_pictures

PHASE = Phase(epochs=0, trainable={"fusion_gate": 1e-3}, losses={"seg": 1.0})


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same pictures, divided so that another fold is tested."""
    root = tmp_path_factory.mktemp("folds")
    write_pictures(root / "raw")
    made = []
    for fold in (0, 1):
        made.append(root / f"fold-{fold}")
        prepare(recipe().data, root / "raw", Split(folds=4, fold=fold), QuarantineLimits(), made[-1])
    return made


@pytest.fixture
def model(folds: list[Path], tmp_path: Path) -> Path:
    """A model folder that names the first fold's dataset."""
    meta = ModelMeta(recipe={}, phase="warmup", step=1, data_digest=Dataset.open(folds[0]).digest)
    ModelArtifact.save(tmp_path / "model", {"weight": torch.zeros(1)}, None, meta)
    return tmp_path / "model"


def test_training_does_not_start_from_a_model_of_another_split(folds: list[Path], model: Path, tmp_path: Path) -> None:
    files = PhaseFiles(folds[1], model, tmp_path / "next", tmp_path / "metrics.json")
    with pytest.raises(BadInput, match="another split") as caught:
        run_phases(recipe(), [PHASE], 0, Runtime(device="cpu"), Identity("partial_unfreeze", "", {}, {}), files)
    assert str(model) in str(caught.value)
    assert not files.model.exists()


def test_a_model_is_not_judged_on_another_split(folds: list[Path], model: Path) -> None:
    runtime = Runtime(device="cpu", progress=False)
    dataset = Dataset.open(folds[1])
    judge = Judge(recipe().build(dataset.card), dataset, 0, runtime, 8, Tracker(runtime, RunLabels("r", "evaluate")))
    for refused in (
        lambda: judge.phase("warmup", model),
        lambda: list(judge.controls("warmup", model)),
        lambda: judge.pictures(model, set()),
    ):
        with pytest.raises(BadInput, match="another split"):
            refused()
