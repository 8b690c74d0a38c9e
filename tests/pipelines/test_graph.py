"""The graph: edges, settings and values in the compiled IR, without torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import recipes
from components.core.errors import BadInput
from pipelines.graph import build, compile_graph, stage_values
from pipelines.wiring import NODES, Node

IMAGES = {"cpu": f"registry.example/cpu@sha256:{'0' * 64}", "gpu": f"registry.example/gpu@sha256:{'1' * 64}"}
PARAMS: dict[str, Any] = {"seed": 1, "warmup": {"rate": 1e-3, "ema": None}, "pretrain": {"epochs": 0}}


def everything(_: str, params: Any) -> Any:
    return params


def compile_ir(folder: Path, params: dict[str, Any] = PARAMS, **how: Any) -> list[dict[str, Any]]:
    how = {"narrow": everything, **how}
    file = compile_graph(build("ct_abnormality", params, IMAGES, **how), folder / "graph.yaml")
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def executors(ir: dict[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("exec-"): one["container"] for name, one in ir["deploymentSpec"]["executors"].items()}


def test_the_edges_are_the_nodes(tmp_path: Path) -> None:
    tasks = compile_ir(tmp_path, {**PARAMS, "pretrain": {"epochs": 1}})[0]["root"]["dag"]["tasks"]
    assert set(tasks) == {node.stage.replace("_", "-") for node in NODES}
    for node in NODES:
        given = tasks[node.stage.replace("_", "-")]["inputs"].get("artifacts", {})
        sources = {port: one["taskOutputArtifact"] for port, one in given.items()}
        found = {p: f"{s['producerTask'].replace('-', '_')}.{s['outputArtifactKey']}" for p, s in sources.items()}
        assert found == dict(node.inputs)


def test_values_are_one_string_that_keeps_null_and_integers(tmp_path: Path) -> None:
    given = compile_ir(tmp_path)[0]["root"]["dag"]["tasks"]["warmup"]["inputs"]["parameters"]
    values = given["values"]["runtimeValue"]["constant"]
    assert json.loads(values) == PARAMS
    assert '"ema":null' in values
    assert '"seed":1' in values
    assert given["recipe"]["runtimeValue"]["constant"] == "ct_abnormality"


def test_digests_are_parameters_so_that_caching_sees_content(tmp_path: Path) -> None:
    root = compile_ir(tmp_path)[0]["root"]
    assert set(root["inputDefinitions"]["parameters"]) == {"raw", "raw_digest"}
    prepare = root["dag"]["tasks"]["prepare"]["inputs"]["parameters"]
    assert prepare["raw_digest"] == {"componentInputParameter": "raw_digest"}
    for task in root["dag"]["tasks"].values():
        assert len(task["inputs"]["parameters"]["code_digest"]["runtimeValue"]["constant"]) == 64


def test_each_node_runs_in_its_image(tmp_path: Path) -> None:
    images = {name: one["image"] for name, one in executors(compile_ir(tmp_path)[0]).items()}
    assert images.pop("prepare") == IMAGES["cpu"]
    assert set(images.values()) == {IMAGES["gpu"]}


def test_every_task_has_limits_retries_caching_and_a_timeout(tmp_path: Path) -> None:
    params = {
        **PARAMS,
        "pipeline": {
            "defaults": {"gpus": 1, "memory": "12Gi", "env": {"OMP_NUM_THREADS": "4"}},
            "stages": {"end_to_end": {"gpus": 2, "timeout_seconds": 60, "retries": 0, "cache": False}},
        },
    }
    ir, cluster = compile_ir(tmp_path, params)
    found, tasks = executors(ir), ir["root"]["dag"]["tasks"]
    assert "accelerator" not in found["prepare"]["resources"], "the cpu image never asks for a GPU"
    assert found["warmup"]["resources"]["accelerator"]["resourceCount"] == "1"
    assert found["end-to-end"]["resources"]["accelerator"]["resourceCount"] == "2"
    assert {one["resources"]["resourceMemoryLimit"] for one in found.values()} == {"12Gi"}
    assert found["warmup"]["env"] == [{"name": "OMP_NUM_THREADS", "value": "4"}]
    assert tasks["warmup"]["retryPolicy"]["maxRetryCount"] == 2
    assert "retryPolicy" not in tasks["end-to-end"]
    assert tasks["warmup"]["cachingOptions"] == {"enableCache": True}
    assert tasks["end-to-end"]["cachingOptions"].get("enableCache", False) is False
    pods = cluster["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert int(pods["exec-end-to-end"]["activeDeadlineSeconds"]) == 60
    assert pods["exec-warmup"]["emptyDirMounts"][0]["mountPath"] == "/dev/shm"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"stages": {"warm_up": {}}}, "no stages"),
        ({"stages": {"warmup": {"gpu": 1}}}, "gpus"),
        ({"defaults": {"memory": "8 GB"}}, "memory"),
        ({"default": {}}, "defaults"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        compile_ir(tmp_path, {**PARAMS, "pipeline": section})


@pytest.mark.parametrize(
    ("params", "there"), [({}, False), ({"pretrain": {"epochs": 0}}, False), ({"pretrain": {"epochs": 3}}, True)]
)
def test_a_node_comes_and_goes_by_values(tmp_path: Path, params: dict[str, Any], there: bool) -> None:
    tasks = compile_ir(tmp_path, params)[0]["root"]["dag"]["tasks"]
    assert ("pretrain" in tasks) == there
    assert ("encoder" in tasks["warmup"]["inputs"]["artifacts"]) == there


def test_an_input_that_nothing_makes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing makes"):
        compile_ir(tmp_path, nodes=NODES[1:])
    with pytest.raises(BadInput, match="nothing makes"):
        compile_ir(tmp_path, nodes=[NODES[0], Node("warmup", inputs={"encoder": "pretrian.encoder"})])


def test_a_recipe_compiles_to_the_same_graph_twice(tmp_path: Path) -> None:
    assert compile_ir(tmp_path) == compile_ir(tmp_path)


def test_the_graph_and_the_runner_need_no_torch(tmp_path: Path) -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "timm", "open_clip", "transformers"}:
            raise AssertionError(f"{name} is imported")
sys.meta_path.insert(0, Refuse())
import pathlib, pipelines.commands, pipelines.graph as g
graph = g.build("toy", {}, {"cpu": "c", "gpu": "g"}, narrow=lambda stage, params: params)
g.compile_graph(graph, pathlib.Path(sys.argv[1]) / "graph.yaml")
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_stage_is_given_only_the_values_it_reads() -> None:
    """So that another evaluation setting does not train again."""
    if not hasattr(recipes, "AnyRecipe"):
        pytest.skip("the stages cannot be imported before the recipes are written")
    values = stage_values("warmup", {"seed": 1, "warmup": {}, "evaluate": {}, "pipeline": {}, "runtime": {}})
    assert set(values) == {"seed", "warmup", "runtime"}
