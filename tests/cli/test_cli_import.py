"""`thaw import`: what matched is written and counted, and nothing else gets through."""

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from components.core.models.importing import shapes
from components.core.models.sam_build import sam_on_meta
from pipelines.cli import main

KEY = "mask_decoder.iou_token.weight"


class Payload:
    """Runs a program where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[list[str]]]:
        return subprocess.check_call, (["false"],)


def test_a_partial_file_is_reported_key_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "sam.pth", tmp_path / "out" / "sam.safetensors"
    torch.save({"module." + KEY: torch.ones(1, 256), "module.other": torch.ones(2)}, source)
    assert main(["import", str(source), "--kind", "sam_vit_b", "--output", str(target)]) == 0
    printed = capsys.readouterr().out
    wanted = shapes(sam_on_meta("vit_b"))
    assert f"1 of {len(wanted)} keys matched" in printed
    assert printed.count("missing: ") == len(wanted) - 1
    assert "unexpected: other" in printed and "training will refuse it" in printed
    assert list(load_file(target)) == [KEY]


def test_nothing_that_matches_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "other.safetensors", tmp_path / "out.safetensors"
    save_file({"weight": torch.ones(2)}, source)
    assert main(["import", str(source), "--kind", "biomedclip", "--output", str(target)]) == 2
    assert "remedy: " in capsys.readouterr().err
    assert not target.exists()


def test_code_in_a_file_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "evil.pth", tmp_path / "out.safetensors"
    torch.save({KEY: Payload()}, source)
    assert main(["import", str(source), "--kind", "sam_vit_b", "--output", str(target)]) == 2
    assert "never loaded" in capsys.readouterr().err
    assert not target.exists()


def test_only_safetensors_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "sam.safetensors"
    save_file({KEY: torch.ones(1, 256)}, source)
    assert main(["import", str(source), "--kind", "sam_vit_b", "--output", str(tmp_path / "sam.pth")]) == 2
    assert "remedy: end --output" in capsys.readouterr().err
