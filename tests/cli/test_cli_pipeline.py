"""`thaw pipeline`: the graph as a file, and a local run's outputs and exit code."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import stages
from pipelines import commands
from pipelines.cli import main
from pipelines.runner.result import Failure, RunResult

IMAGE = "registry.example/thaw@sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("recipe", "off"), [("ct_abnormality", {"pretrain"}), ("freqmedclip", {"pretrain"}), ("hvit", set())]
)
def test_compile_writes_the_graph_with_pinned_images(
    recipe: str, off: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "graph.yaml"
    assert main(["pipeline", "compile", recipe, "--size", "demo", "--image", IMAGE, "--output", str(file)]) == 0
    ir = next(iter(yaml.safe_load_all(file.read_text(encoding="utf-8"))))
    executors = ir["deploymentSpec"]["executors"]
    assert {one["container"]["image"] for one in executors.values()} == {IMAGE}
    assert {one["container"]["args"][0] for one in executors.values()} == set(stages.NAMES) - off
    assert str(file) in capsys.readouterr().out


def test_a_wrong_value_is_told_when_the_graph_is_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "graph.yaml"
    arguments = ["pipeline", "compile", "freqmedclip", "--image", IMAGE, "--output", str(file)]
    assert main([*arguments, "--set", "warmup.epoch=3"]) == 2
    assert "did you mean 'epochs'" in capsys.readouterr().err
    assert not file.exists()


def test_an_image_without_a_digest_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "graph.yaml"
    assert main(["pipeline", "compile", "freqmedclip", "--image", "thaw:1.0", "--output", str(file)]) == 2
    assert "remedy: push it" in capsys.readouterr().err
    assert not file.exists()


def test_a_graph_without_a_store_says_what_a_pod_would_lose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "graph.yaml"
    arguments = ["pipeline", "compile", "freqmedclip", "--size", "tiny", "--image", IMAGE, "--output", str(file)]
    assert main(arguments) == 0
    assert "no store for checkpoints" in capsys.readouterr().err
    assert main([*arguments, "--store", "s3://bucket/runs", "--results", "s3://bucket/results"]) == 0
    assert "store" not in capsys.readouterr().err
    ir = next(iter(yaml.safe_load_all(file.read_text(encoding="utf-8"))))
    values = json.loads(
        ir["root"]["dag"]["tasks"]["warmup"]["inputs"]["parameters"]["values"]["runtimeValue"]["constant"]
    )
    assert values["runtime"] == {"checkpoints": {"store": "s3://bucket/runs"}, "results": "s3://bucket/results"}


def test_data_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path / "absent"), "--root", str(tmp_path / "run")]
    assert main(["pipeline", "run", "freqmedclip", *arguments]) == 2
    assert "remedy: correct --data" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [None, Failure("warmup", 2, "the configuration is not valid")])
def test_a_run_prints_its_outputs_and_ends_with_the_steps_own_code(
    tmp_path: Path, failure: Failure | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[Any, ...]] = []

    def run(recipe: str, params: Any, raw: Path | None, root: Path) -> RunResult:
        seen.append((recipe, params["seed"], raw, root))
        outputs = {"prepare": {"dataset": root / "prepare" / "dataset"}}
        return RunResult("failed" if failure else "succeeded", outputs, root, failure)

    monkeypatch.setattr(commands, "run_command", run)
    code = main(["pipeline", "run", "freqmedclip", "--set", "seed=5", "--root", str(tmp_path)])
    printed = capsys.readouterr()
    assert seen == [("freqmedclip", 5, None, tmp_path)]
    assert f"prepare.dataset   {tmp_path / 'prepare' / 'dataset'}" in printed.out
    assert code == (2 if failure else 0)
    assert ("warmup failed (2)" in printed.err) is bool(failure)
