"""Model folders."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta, read_record
from components.core.errors import BadInput

META = ModelMeta(
    recipe={"name": "toy", "rate": 1e-3},
    phase="warmup",
    step=40,
    metrics={"dice": 0.5, "hd95": math.nan},
    history=[{"epoch": 1, "loss": 0.7}],
    decision={"mask": "sam"},
    data_digest="d" * 64,
    parent_digest=None,
    environment={"torch": "2.13.0", "threads": 1},
)
WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(3)}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    digest = ModelArtifact.save(tmp_path / "model", WEIGHTS, {"m": torch.ones(2)}, META)
    model = ModelArtifact.load(tmp_path / "model")
    assert model.digest == digest == read_record(tmp_path / "model")[1]
    assert all(torch.equal(model.weights[name], WEIGHTS[name]) for name in WEIGHTS)
    assert model.optimizer is not None
    assert torch.equal(model.optimizer["m"], torch.ones(2))
    assert math.isnan(model.meta.metrics["hd95"])
    assert model.meta.model_dump(exclude={"metrics"}) == META.model_dump(exclude={"metrics"})


def test_equal_models_have_equal_digests(tmp_path: Path) -> None:
    first = ModelArtifact.save(tmp_path / "a", WEIGHTS, None, META)
    assert ModelArtifact.save(tmp_path / "b", dict(reversed(WEIGHTS.items())), None, META) == first
    changed = {**WEIGHTS, "w": WEIGHTS["w"] + 1}
    assert ModelArtifact.save(tmp_path / "c", changed, None, META) != first


def test_saving_again_leaves_no_old_optimizer(tmp_path: Path) -> None:
    ModelArtifact.save(tmp_path, WEIGHTS, {"m": torch.ones(2)}, META)
    ModelArtifact.save(tmp_path, WEIGHTS, None, META)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "weights.safetensors"]
    assert ModelArtifact.load(tmp_path).optimizer is None


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors"])
def test_damage_is_noticed(tmp_path: Path, name: str) -> None:
    ModelArtifact.save(tmp_path, WEIGHTS, {"m": torch.ones(2)}, META)
    data = bytearray((tmp_path / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match="damaged") as caught:
        ModelArtifact.load(tmp_path)
    assert name in caught.value.where
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=name):
        ModelArtifact.load(tmp_path)


def test_unfinished_folders_and_pickles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a finished model"):
        ModelArtifact.load(tmp_path / "nothing")
    ModelArtifact.save(tmp_path / "model", WEIGHTS, None, META)
    torch.save(WEIGHTS, tmp_path / "model" / "weights.safetensors")
    with pytest.raises(BadInput, match="thaw import"):
        ModelArtifact.load(tmp_path / "model")
    torch.save(WEIGHTS, tmp_path / "weights.pth")
    with pytest.raises(BadInput, match="thaw import"):
        ModelArtifact.load(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"schema": None}, "schema None"),
        ({"surprise": 1}, "surprise"),
        ({"files": {"../secret": "0"}}, "names the files"),
        ({"meta": {}}, "not a valid model.json"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    ModelArtifact.save(tmp_path, WEIGHTS, None, META)
    record = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps({**record, **change}), encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        ModelArtifact.load(tmp_path)


def test_what_the_small_image_needs_imports_no_torch() -> None:
    modules = ["store", "checkpoint.failures", "checkpoint.lease", "checkpoint.model", "checkpoint.arrays"]
    code = "import sys; sys.modules['torch'] = None; sys.modules['boto3'] = None\n"
    code += "\n".join(f"import components.core.{module}" for module in modules)
    subprocess.run([sys.executable, "-c", code], check=True)
