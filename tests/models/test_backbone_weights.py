"""Backbones' values: names, arguments, weights from files and from timm's cache, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from components.core.errors import BadInput, Temporary
from components.core.models import backbone_build
from components.core.models.backbone_build import backbone_on_meta
from components.core.models.backbone_config import BackboneConfig
from components.core.models.importing import import_checkpoint

HVIT = {"patch_size": 4, "dims": (16, 32, 32, 64), "depths": (1, 1, 2, 1), "heads": (1, 2, 2, 4)}
COMMIT = "0" * 40


def foreign(folder: Path, name: str, size: int | None = None, **arguments: Any) -> tuple[Path, dict[str, Tensor]]:
    """A file as published: timm's names, with a classifier of other classes."""
    torch.manual_seed(11)
    if size is not None:
        arguments["img_size"] = size
    state = timm.create_model(name, num_classes=7, **arguments).state_dict()
    file = folder / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, file)
    return file, state


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet", "mobilenetv3_small_050"])
def test_weights_from_a_file(name: str, tmp_path: Path) -> None:
    file, state = foreign(tmp_path, name)
    config = BackboneConfig(name=name, file=file)
    assert config.missing() == "" and config.weight_files() == {"file": file} and not config.random
    model = config.build(64, 0)
    assert all(torch.equal(value, state[key.removeprefix("trunk.")]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("name", "arguments"), [("test_vit", {}), ("hvit_small", HVIT)])
def test_weights_of_another_image_size(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    file, state = foreign(tmp_path, name, size=32, **arguments)
    model = BackboneConfig(name=name, arguments=arguments, file=file).build(64, 0)
    same = BackboneConfig(name=name, arguments=arguments, file=file).build(32, 0)
    assert all(torch.equal(v, state[k.removeprefix("trunk.")]) for k, v in same.state_dict().items())
    shapes = {key: value.shape for key, value in same.state_dict().items()}
    resampled = {key for key, value in model.state_dict().items() if value.shape != shapes[key]}
    assert len(resampled) == 1 and "pos" in resampled.pop()
    assert torch.isfinite(model.forward_map(torch.rand(1, 3, 64, 64))).all()


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    file, _ = foreign(tmp_path, "test_resnet")
    with pytest.raises(BadInput, match="no key of the checkpoint"):
        BackboneConfig(name="test_vit", file=file).build(64, 0)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    file, state = foreign(tmp_path, "test_resnet")
    del state["layer3.0.conv1.weight"]
    save_file(state, file)
    with pytest.raises(BadInput, match=r"missing: layer3\.0\.conv1\.weight"):
        BackboneConfig(name="test_resnet", file=file).build(64, 0)


def test_an_imported_file_fits(tmp_path: Path) -> None:
    _, state = foreign(tmp_path, "test_resnet")
    torch.save({"state_dict": state}, tmp_path / "published.pth")
    report = import_checkpoint(
        tmp_path / "published.pth", tmp_path / "own.safetensors", backbone_on_meta("test_resnet")
    )
    assert set(report.unexpected) == {"fc.weight", "fc.bias"} and not report.missing
    model = BackboneConfig(name="test_resnet", file=tmp_path / "own.safetensors").build(64, 0)
    assert torch.equal(model.state_dict()["trunk.conv1.0.weight"], state["conv1.0.weight"])


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    assert "no file" in BackboneConfig(file=tmp_path / "absent.safetensors").missing()
    assert BackboneConfig().missing() == ""
    assert BackboneConfig(file=tmp_path / "absent.safetensors").untrained() == BackboneConfig()
    assert BackboneConfig(name="test_vit", pretrained=True).untrained().random


def test_timms_own_weights_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    config = BackboneConfig(name="test_resnet.r160_in1k", pretrained=True)
    assert "not in the download cache" in config.missing()
    with pytest.raises(Temporary, match="cannot be fetched"):
        config.build(64, 0)
    state = _cached(tmp_path)
    assert config.missing() == ""
    model = config.build(64, 0)
    assert all(torch.equal(value, state[key.removeprefix("trunk.")]) for key, value in model.state_dict().items())


def _cached(cache: Path) -> dict[str, Tensor]:
    """The weights of timm/test_resnet.r160_in1k, made up, as the download cache keeps them."""
    torch.manual_seed(3)
    model = timm.create_model("test_resnet")
    repository = cache / "models--timm--test_resnet.r160_in1k"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
    save_file(model.state_dict(), snapshot / "model.safetensors")
    return dict(model.state_dict())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "resnet81"}, "did you mean resnet"),
        ({"name": "hvit_smal"}, "hvit_small"),
        ({"name": "hf-hub:timm/resnet18"}, "timm has no model"),
        ({"name": "resnet18.nonsense", "pretrained": True}, "a1_in1k"),
        ({"name": "hvit_small", "pretrained": True}, "no weights of hvit_small"),
        ({"name": "test_resnet", "arguments": {"nonsense": 1}}, "nonsense"),
        ({"name": "vgg11", "drop_path": 0.1}, "drop_path"),
        ({"name": "hvit_small"}, "merged"),
    ],
)
def test_refusals_name_what_is_wrong(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        BackboneConfig(**values).build(64, 0)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [{"arguments": {"img_size": 64}}, {"arguments": {"num_classes": 3}}, {"pretrained": True, "file": "x.safetensors"}],
)
def test_values_that_contradict(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BackboneConfig(**values)


def test_pictures_are_normalised_as_the_model_wants() -> None:
    model = BackboneConfig(name="test_vit").build(32, 0)
    cfg: Any = model.trunk.pretrained_cfg
    assert model.mean.flatten().tolist() == pytest.approx(cfg["mean"])
    assert model.std.flatten().tolist() == pytest.approx(cfg["std"])


def test_the_size_reaches_models_that_must_know_it() -> None:
    assert BackboneConfig(name="test_vit").build(48, 0).side == 3
    assert BackboneConfig(name="test_vit").build(160, 0).side == 10
    assert BackboneConfig(name="test_resnet").build(96, 0).side == 3


def test_the_registry_is_asked_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_build, "try_to_load_from_cache", lambda repository, file: f"/{repository}/{file}")
    assert BackboneConfig(name="resnet18", pretrained=True).missing() == ""
