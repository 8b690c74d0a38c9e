"""`thaw pipeline`: the whole graph with the real components' command lines, and what is refused."""

import json
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import stages
from components.core.digest import digest_path
from components.core.errors import BadInput
from components.outcome.command import succeeded
from pipelines import commands
from pipelines.plan import make_plan
from pipelines.runner.hooks import AsProcesses
from pipelines.wiring import NODES

DIGEST = "sha256:" + "a" * 64

STAGE = """
    import json, pathlib, sys
    stage, recipe, *options = sys.argv[1:]
    if stage == "outcome":
        sys.exit(pathlib.Path("outcome.json").write_text(json.dumps(sys.argv[2:])) and 0)
    ports = dict(zip(options[::2], options[1::2]))
    given, output = json.loads(ports.pop("--executor-input")), pathlib.Path(ports.pop("--executor-output"))
    values = json.loads(ports.pop("--values"))
    member = {name: ports.pop(name, None) for name in ("--fold", "--seed")}
    if values.get("fail") == stage:
        sys.exit(2)
    declared = given["outputs"]["artifacts"]
    made = {"--" + port.replace("_", "-"): one["artifacts"][0]["uri"] for port, one in declared.items()}
    read = {port: path for port, path in ports.items() if port not in made}
    assert all(ports[port] == uri for port, uri in made.items()), (ports, made)
    assert all(pathlib.Path(path).exists() for path in read.values()), read
    output.parent.mkdir(parents=True, exist_ok=True)
    told = {"stage": stage, "recipe": recipe, "read": read, "values": values, "member": member}
    for uri in made.values():
        pathlib.Path(uri).write_text(json.dumps(told))
    output.write_text(json.dumps({"artifacts": declared}))
"""


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What stands in for the image: another `python -m components`, found before the real one."""
    package = tmp_path / "image" / "components"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(textwrap.dedent(STAGE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "make_plan", partial(make_plan, narrow=lambda _, params: params))
    return {"PYTHONPATH": str(package.parent)}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_whole_graph_runs_through_the_real_command_lines(tmp_path: Path, container: dict[str, str]) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "image.png").write_bytes(b"1")
    values = {"seed": 1, "ema": None, "pretrain": {"epochs": 1}, "quote": 'it\'s "one" word'}
    result = commands.run_command("toy", values, raw, tmp_path / "run", way=AsProcesses(container))
    assert result.status == "succeeded", result.failure
    assert list(result.outputs) == list(stages.NAMES)
    prepared = read(result.outputs["prepare"]["dataset"])
    assert prepared["read"] == {"--raw": str(raw)}
    assert prepared["values"] == values
    for node in NODES:
        found = read(next(iter(result.outputs[node.stage].values())))
        expected = {f"--{port.replace('_', '-')}": source.split(".") for port, source in node.inputs.items()}
        assert {p: v for p, v in found["read"].items() if p != "--raw"} == {
            port: str(result.outputs[stage][output]) for port, (stage, output) in expected.items()
        }
    ir = next(iter(yaml.safe_load_all((tmp_path / "run" / "toy.yaml").read_text(encoding="utf-8"))))
    assert ir["pipelineInfo"]["name"] == "thaw-toy"


def test_a_failing_stage_ends_the_run_under_its_own_name(tmp_path: Path, container: dict[str, str]) -> None:
    values = {"fail": "end_to_end", "pretrain": {"epochs": 1}}
    result = commands.run_command("toy", values, tmp_path, tmp_path / "run", way=AsProcesses(container))
    assert result.failure is not None
    assert (result.failure.task, result.exit_code) == ("end_to_end", 2)
    assert list(result.outputs) == ["prepare", "pretrain", "warmup", "partial_unfreeze"]


def test_members_of_a_crossvalidation_are_told_by_fold_and_seed(tmp_path: Path, container: dict[str, str]) -> None:
    values = {"pipeline": {"folds": 3, "seeds": [3, 8]}}
    result = commands.run_command("toy", values, None, tmp_path / "run", way=AsProcesses(container))
    assert result.status == "succeeded", result.failure
    on = [node.stage for node in NODES if node.is_on(values)]
    members = [f"fold-{fold}/seed-{seed}/" for fold in range(3) for seed in (3, 8)]
    expected = {f"fold-{fold}/prepare" for fold in range(3)} | {name + stage for name in members for stage in on[1:]}
    assert set(result.outputs) == expected
    for name in expected:
        parts = name.split("/")
        found = read(next(iter(result.outputs[name].values())))
        fold = f"{parts[0].removeprefix('fold-')}/3"
        seed = parts[1].removeprefix("seed-") if len(parts) == 3 else None
        assert found["member"] == {"--fold": fold, "--seed": seed}
    dataset = str(result.outputs["fold-1/prepare"]["dataset"])
    assert read(result.outputs["fold-1/seed-8/warmup"]["model"])["read"]["--dataset"] == dataset


@pytest.mark.parametrize("fail", ["", "warmup"])
def test_the_outcome_is_told_whatever_it_is(tmp_path: Path, container: dict[str, str], fail: str) -> None:
    values = {"fail": fail, "runtime": {"pushgateway": "gateway:9091"}}
    result = commands.run_command("toy", values, None, tmp_path / "run", way=AsProcesses(container))
    assert result.status == ("failed" if fail else "succeeded")
    assert result.failure is None or result.failure.task == "warmup"
    told = json.loads((tmp_path / "outcome.json").read_text())
    assert told[:3] == ["toy", "--pushgateway", "gateway:9091"]
    assert succeeded(told[4]) is not bool(fail)


def test_the_raw_data_is_pinned_by_content(tmp_path: Path, container: dict[str, str]) -> None:
    (tmp_path / "one.png").write_bytes(b"1")
    assert commands.raw_arguments(tmp_path / "one.png") == {
        "raw": str(tmp_path / "one.png"),
        "raw_digest": digest_path(tmp_path / "one.png"),
    }


def test_what_cannot_run_is_refused(tmp_path: Path, container: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        commands.run_command("toy", {}, tmp_path / "absent", tmp_path / "run")


def test_compiling_for_a_cluster_pins_the_images(tmp_path: Path, container: dict[str, str]) -> None:
    images = {kind: f"r/{kind}@{DIGEST}" for kind in ("cpu", "gpu")}
    output = commands.compile_command("toy", {}, images, tmp_path / "deep" / "toy.yaml")
    text = output.read_text(encoding="utf-8")
    assert text.count(f"r/cpu@{DIGEST}") == 1
    assert text.count(f"r/gpu@{DIGEST}") == sum(node.image == "gpu" and node.is_on({}) for node in NODES)
