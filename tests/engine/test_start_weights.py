"""A phase starts from weights that are exactly its model's, or not at all."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.engine.snapshot import put_whole
from components.core.errors import BadInput
from tests.engine.runs import PHASE, job, run
from tests.engine.toy import ToyTask

NONE = PHASE.model_copy(update={"epochs": 0})


def start(folder: Path, weights: dict[str, Tensor]) -> ModelArtifact:
    ModelArtifact.save(folder / "model", weights, None, ModelMeta(recipe={}, phase="before", step=1))
    return ModelArtifact.load(folder / "model")


def test_a_phase_takes_the_weights_of_its_own_model(tmp_path: Path) -> None:
    weights = {name: value + 1 for name, value in ToyTask().build_model(3).state_dict().items()}
    passed = run(job(ToyTask(), tmp_path, NONE, start=start(tmp_path, weights)))
    assert all(torch.equal(passed.weights[name], value) for name, value in weights.items())


def test_weights_of_another_model_are_refused_by_name(tmp_path: Path) -> None:
    weights = dict(ToyTask().build_model(3).state_dict())
    del weights["text.weight"]
    weights["head.weight"] = torch.zeros(1, 9)
    weights["tail.weight"] = torch.zeros(1)
    with pytest.raises(BadInput) as caught:
        run(job(ToyTask(), tmp_path, NONE, start=start(tmp_path, weights)))
    text = str(caught.value)
    assert "text.weight: missing" in text
    assert "tail.weight: not in the model" in text
    assert "head.weight [1, 9] for [1, 6]: of another shape" in text
    assert "before" in caught.value.where and caught.value.remedy


def test_of_many_names_the_first_are_said_and_the_model_is_left_as_it_was() -> None:
    model = nn.Linear(2, 2)
    kept = model.weight.detach().clone()
    extra = {f"extra.{number}": torch.zeros(1) for number in range(9)}
    with pytest.raises(BadInput, match=r"extra\.0, extra\.1, extra\.2 and 6 more: not in the model"):
        put_whole(model, {"weight": torch.ones(2, 2), "bias": torch.ones(2), **extra}, "here")
    assert torch.equal(model.weight, kept)
