"""`--extend-epochs` by the command line: the finished stage goes on, once."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main

QUICK = ["--size", "tiny", "--set", "recipe.data.synthetic.images=12", "--set", "runtime.progress=false"]


def test_a_finished_stage_goes_on_and_the_same_command_again_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "freqmedclip", *QUICK, "--dataset", str(tmp_path / "dataset")]) == 0
    command = [
        *("warmup", "freqmedclip", *QUICK, "--set", "warmup.epochs=1", "--set", "warmup.handoff.weights=last"),
        *("--set", f"runtime.cache.dir={tmp_path / 'cache'}"),
        *("--dataset", str(tmp_path / "dataset")),
        *("--model", str(tmp_path / "warmup"), "--metrics", str(tmp_path / "warmup.json")),
    ]
    assert main(command) == 0
    before = about(tmp_path)
    capsys.readouterr()
    assert main([*command, "--extend-epochs", "1"]) == 0
    said, after = capsys.readouterr().err, about(tmp_path)
    assert "starting anew" not in said
    assert after["step"] == 2 * before["step"]
    assert after["history"][:1] == before["history"], "the epoch that was done is not done again"
    assert (before["extra"]["inexact"], after["extra"]["inexact"]) == ([], ["extended by 1 epochs"])
    assert main([*command, "--extend-epochs", "1"]) == 0
    assert "nothing to do" in capsys.readouterr().err


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "warmup" / "model.json").read_text())["meta"]
    return found
