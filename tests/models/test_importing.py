"""Foreign checkpoints: real key lists import whole, code is never run, and every difference is listed."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from components.core.errors import BadInput
from components.core.models.clip_build import biomedclip_on_meta
from components.core.models.importing import compare, import_checkpoint, load_into, read_tensors, shapes
from components.core.models.sam_build import sam_on_meta

FIXTURES = Path(__file__).parents[1] / "fixtures"


def of_the_form(name: str, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """One random number per key, seen as the real shape: torch saves only the number."""
    keys = json.loads((FIXTURES / name).read_text())
    return {key: torch.rand(()).to(dtype).expand(shape) for key, shape in keys.items()}


@pytest.mark.parametrize("name", ["biomedclip", "sam_vit_b"])
def test_a_file_of_the_real_form_matches_whole(name: str, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pth"
    torch.save(of_the_form(f"{name}_keys.json"), file)
    model = biomedclip_on_meta() if name == "biomedclip" else sam_on_meta("vit_b")
    report = compare(read_tensors(file), shapes(model), file)
    assert report.complete, str(report)
    assert len(report.matched) == len(model.state_dict())
    assert "100.0 %" in str(report)


def test_the_position_ids_of_older_files_are_left_out_and_said(tmp_path: Path) -> None:
    file = tmp_path / "open_clip_pytorch_model.bin"
    torch.save(of_the_form("biomedclip_keys.json"), file)
    report = compare(read_tensors(file), shapes(biomedclip_on_meta()), file)
    assert report.ignored == ["text.transformer.embeddings.position_ids"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["biomedclip", "sam_vit_b"])
def test_a_file_of_the_real_form_is_rewritten_and_loads(name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source.pth", tmp_path / "target.safetensors"
    torch.save({"state_dict": of_the_form(f"{name}_keys.json", torch.bfloat16)}, source)
    model = biomedclip_on_meta() if name == "biomedclip" else sam_on_meta("vit_b")
    assert import_checkpoint(source, target, model).complete
    tensors = load_file(target)
    assert {key: tuple(value.shape) for key, value in tensors.items()} == shapes(model)
    model.load_state_dict(tensors, strict=True, assign=True)


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefixes_come_off(wrapper: str | None, prefix: str, tmp_path: Path) -> None:
    model, source, target = small(), tmp_path / "a.pth", tmp_path / "b.safetensors"
    state: dict[str, Any] = {prefix + key: value for key, value in model.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, source)
    assert import_checkpoint(source, target, model).complete
    other = small()
    assert load_into(other, target).complete
    torch.testing.assert_close(other.state_dict(), model.state_dict())


def test_every_difference_is_listed(tmp_path: Path) -> None:
    model, source, target = small(), tmp_path / "a.pth", tmp_path / "b.safetensors"
    state = model.state_dict()
    del state["0.bias"]
    state["0.weight"], state["extra"] = torch.zeros(5, 3), torch.zeros(1)
    torch.save(state, source)
    report = import_checkpoint(source, target, model)
    assert not report.complete
    assert report.missing == ["0.bias"]
    assert report.unexpected == ["extra"]
    assert report.mismatched == {"0.weight": ((5, 3), (4, 3))}
    assert sorted(load_file(target)) == ["1.bias", "1.weight"]
    assert all(name in str(report) for name in ("missing: 0.bias", "unexpected: extra", "file [5, 3], model [4, 3]"))
    with pytest.raises(BadInput, match=r"0\.bias"):
        load_into(model, source)


def test_nothing_matched_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "a.pth", tmp_path / "b.safetensors"
    torch.save({"other": torch.zeros(2)}, source)
    with pytest.raises(BadInput, match="no key"):
        import_checkpoint(source, target, small())
    assert not target.exists()


class Bomb:
    """Leaves a mark if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_never_run(form: str, tmp_path: Path) -> None:
    source, mark = tmp_path / "a.pth", tmp_path / "ran"
    content = {"0.weight": torch.zeros(4, 3), "bomb": Bomb(mark)}
    if form == "torch":
        torch.save(content, source)
    else:
        source.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(BadInput, match="never loaded"):
        read_tensors(source)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.h5"])
def test_damaged_and_unknown_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(BadInput):
        read_tensors(tmp_path / name)
    with pytest.raises(BadInput, match="not found"):
        read_tensors(tmp_path / f"absent-{name}")


def test_oversized_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(100)}, file)
    monkeypatch.setattr("components.core.models.importing.MAX_BYTES", 100)
    with pytest.raises(BadInput, match="limit"):
        read_tensors(file)
