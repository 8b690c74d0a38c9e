"""The plain Argo workflow: the same graph as Kubeflow's, and what its pods may do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows import Workflow
from hera.workflows import models as argo

from components import stages
from pipelines.argo_pod import RETRIED
from pipelines.cli import main
from pipelines.graph import build, compile_graph
from pipelines.plan import Plan
from pipelines.wiring import NODES
from tests.pipelines.argo_toys import IMAGES, plan, spelled

PATH = re.compile(r"\{\{\$\.(inputs|outputs)\.artifacts\['(\w+)'\]\.path\}\}")
PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")


def templates(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in workflow["spec"]["templates"]}


def containers(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in templates(workflow).items() if "container" in one}


def compiled(folder: Path, made: Plan) -> dict[str, Any]:
    file = compile_graph(build(made, IMAGES), folder / "graph.yaml")
    ir: dict[str, Any] = next(iter(yaml.safe_load_all(file.read_text(encoding="utf-8"))))
    return ir


def dags(ir: dict[str, Any]) -> dict[str, Any]:
    """Every task of a stage, wherever it branches."""
    graphs = [ir["root"]["dag"], *(one["dag"] for one in ir["components"].values() if "dag" in one)]
    names = {node.stage.replace("_", "-") for node in NODES}
    return {name: task for graph in graphs for name, task in graph["tasks"].items() if name in names}


def test_hera_s_models_take_it(tmp_path: Path) -> None:
    for made in (plan(), plan(folds=3, seeds=[0, 1], parallelism=2)):
        document = spelled(tmp_path, made)
        argo.Workflow.model_validate(document)
        assert Workflow.from_dict(document).to_dict() == document


@pytest.mark.parametrize("section", [{}, {"folds": 3, "seeds": [0, 1]}, {"seeds": [3]}, {"folds": 4}])
def test_both_graphs_have_the_same_edges(tmp_path: Path, section: dict[str, Any]) -> None:
    made = plan(**section)
    found = {}
    for graph in templates(spelled(tmp_path, made)).values():
        for task in graph.get("dag", {}).get("tasks", []):
            sources = {one["name"]: one["from"] for one in task.get("arguments", {}).get("artifacts", [])}
            found[task["name"]] = {
                port: re.sub(r"\{\{(tasks|inputs\.artifacts)\.|\}\}|outputs\.artifacts\.", "", source).replace(".", "-")
                for port, source in sources.items()
            }
    for name, task in dags(compiled(tmp_path, made)).items():
        given = task["inputs"].get("artifacts", {})
        expected = {}
        for port, one in given.items():
            if "taskOutputArtifact" in one:
                source = one["taskOutputArtifact"]
                expected[port] = f"{source['producerTask']}-{source['outputArtifactKey']}"
            else:
                expected[port] = one["componentInputArtifact"].removeprefix("pipelinechannel--")
        assert found[name] == expected


def options(args: list[str]) -> dict[str, str]:
    assert len(args[2:]) % 2 == 0, args
    return {**dict(zip(args[2::2], args[3::2], strict=True)), "stage": args[0], "recipe": args[1]}


def kfp_options(ir: dict[str, Any], name: str) -> dict[str, str]:
    """A container's options under KFP, with constants filled in and ports named."""
    task = dags(ir)[name]
    constants = {
        key: one["runtimeValue"]["constant"]
        for key, one in task["inputs"]["parameters"].items()
        if "runtimeValue" in one
    }
    args = list(ir["deploymentSpec"]["executors"][f"exec-{name}"]["container"]["args"])
    words = []
    for word in args:
        if word.startswith('{"IfPresent"'):
            present = json.loads(word)["IfPresent"]
            words += present["Then"] if present["InputName"] in task["inputs"].get("artifacts", {}) else []
        else:
            words.append(word)
    words = [PATH.sub(r"\1 \2", word) for word in words]
    words = [PARAMETER.sub(lambda found: constants.get(found[1], f"given {found[1]}"), word) for word in words]
    told = options(words)
    return {key: value for key, value in told.items() if not key.startswith("--executor")}


def argo_options(template: dict[str, Any]) -> dict[str, str]:
    ports = {
        one["path"]: f"{kind} {one['name']}"
        for kind in ("inputs", "outputs")
        for one in template.get(kind, {}).get("artifacts", [])
    }
    given = re.compile(r"\{\{(?:inputs|workflow)\.parameters\.(\w+)\}\}")
    words = [given.sub(r"given \1", ports.get(word, word)) for word in template["container"]["args"]]
    return options(words)


def test_both_graphs_give_their_containers_the_same_command_line(tmp_path: Path) -> None:
    made = plan(folds=3, seeds=[0])
    ir, found = compiled(tmp_path, made), containers(spelled(tmp_path, made))
    assert set(found) == {*dags(ir), "outcome"}
    for name in dags(ir):
        assert argo_options(found[name]) == kfp_options(ir, name)
        executor = ir["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        assert found[name]["container"]["command"] == executor["command"]
        assert found[name]["container"]["image"] == executor["image"]


def test_every_stage_declares_every_output(tmp_path: Path) -> None:
    found = containers(spelled(tmp_path))
    for name in stages.NAMES:
        outputs = found[name.replace("_", "-")]["outputs"]["artifacts"]
        assert [one["name"] for one in outputs] == [port.name for port in stages.load(name).output_ports()]


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        ("Error", "-1", True),  # drained, preempted, evicted: no exit code of the stage
        ("Error", "2", True),
        ("Failed", "75", True),
        ("Failed", "1", True),
        ("Failed", "137", True),
        ("Failed", "-1", True),
        ("Failed", "2", False),
    ],
)
def test_what_may_pass_is_tried_again_and_bad_input_never(status: str, code: str, again: bool) -> None:
    python = RETRIED.replace("||", "or").replace("asInt(", "int(").replace("lastRetry.", "last_")
    assert eval(python, {"int": int, "last_status": status, "last_exitCode": code}) is again  # noqa: S307


def test_retries_are_bounded_and_back_off(tmp_path: Path) -> None:
    found = containers(spelled(tmp_path))
    assert found["warmup"]["retryStrategy"] == {
        "limit": 2,
        "retryPolicy": "Always",
        "expression": RETRIED,
        "backoff": {"duration": "30s", "factor": 2},
    }
    assert "retryStrategy" not in found["export"]
    assert (found["export"]["activeDeadlineSeconds"], found["warmup"]["activeDeadlineSeconds"]) == (60, 86400)


def test_a_container_may_do_little(tmp_path: Path) -> None:
    for one in containers(spelled(tmp_path)).values():
        assert one["container"]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert one["securityContext"]["runAsNonRoot"] is True
        assert one["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert one["container"]["workingDir"] == "/tmp"
        mounts = {mount["mountPath"] for mount in one["container"]["volumeMounts"]}
        assert "/tmp" in mounts
        files = [entry for kind in ("inputs", "outputs") for entry in one.get(kind, {}).get("artifacts", [])]
        assert all(entry["path"].startswith("/tmp/") for entry in files), "nothing else can be written"


def test_secrets_are_references_and_settings_reach_the_pods(tmp_path: Path) -> None:
    document = spelled(tmp_path)
    found = containers(document)
    secret = {
        "name": "AWS_ACCESS_KEY_ID",
        "valueFrom": {"secretKeyRef": {"name": "s3", "key": "key", "optional": True}},
    }
    config_map = {"configMapKeyRef": {"name": "store", "key": "url", "optional": True}}
    endpoint = {"name": "AWS_ENDPOINT_URL", "valueFrom": config_map}
    assert found["warmup"]["container"]["env"] == [{"name": "A", "value": "1"}, endpoint, secret]
    volumes = {one["name"]: one for one in found["warmup"]["volumes"]}
    assert volumes["cache"]["persistentVolumeClaim"] == {"claimName": "cache"}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in found["warmup"]["container"]["volumeMounts"]
    assert "shm" not in {one["name"] for one in found["export"]["volumes"]}
    assert found["warmup"]["container"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in found["prepare"]["container"]["resources"]["limits"]
    assert found["warmup"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert found["warmup"]["nodeSelector"] == {"disk": "fast"}
    assert "tolerations" not in found["prepare"]
    assert document["spec"]["serviceAccountName"] == "thaw-pipeline"
    assert document["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_members_of_a_crossvalidation_are_bounded(tmp_path: Path) -> None:
    found = templates(spelled(tmp_path, plan(folds=3, seeds=[0, 1], parallelism=2)))
    assert (found["graph"]["parallelism"], found["fold"]["parallelism"]) == (2, 1)
    assert "parallelism" not in found["seed"]
    found = templates(spelled(tmp_path, plan(seeds=[0, 1], parallelism=2)))
    assert found["graph"]["parallelism"] == 2
    assert "parallelism" not in templates(spelled(tmp_path))["graph"]


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deep" / "workflow.yaml"
    arguments = ["pipeline", "argo", "hvit", "--size", "tiny", "--output", str(file), "--seeds", "0", "1"]
    assert main([*arguments, "--image", f"cpu={IMAGES['cpu']},gpu={IMAGES['gpu']}", "--data", "/thaw/raw"]) == 0
    document = yaml.safe_load(file.read_text())
    assert document["spec"]["arguments"]["parameters"] == [{"name": "raw", "value": "/thaw/raw"}]
    assert str(file) in capsys.readouterr().out
    assert main([*arguments, "--image", "thaw:latest"]) == 2
