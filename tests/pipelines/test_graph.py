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
from pipelines.graph import build, compile_graph
from pipelines.plan import make_plan, stage_values
from pipelines.wiring import NODES, Node

IMAGES = {"cpu": f"registry.example/cpu@sha256:{'0' * 64}", "gpu": f"registry.example/gpu@sha256:{'1' * 64}"}
PARAMS: dict[str, Any] = {"seed": 1, "warmup": {"rate": 1e-3, "ema": None}, "pretrain": {"epochs": 0}}


def everything(_: str, params: Any) -> Any:
    return params


def compile_ir(folder: Path, params: dict[str, Any] = PARAMS, **how: Any) -> list[dict[str, Any]]:
    how = {"narrow": everything, **how}
    file = compile_graph(build(make_plan("ct_abnormality", params, **how), IMAGES), folder / "graph.yaml")
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


def test_a_value_that_would_be_replaced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="placeholder"):
        compile_ir(tmp_path, {**PARAMS, "warmup": {"prompt": "{{$}}"}})


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


def test_secrets_volumes_and_places_are_references(tmp_path: Path) -> None:
    section = {
        "defaults": {
            "secrets": {"s3": {"key": "AWS_ACCESS_KEY_ID"}},
            "config_maps": {"store": {"url": "AWS_ENDPOINT_URL"}},
            "volumes": {"cache": "/thaw"},
            "user": 1000,
        },
        "gpu": {"tolerations": [{"key": "gpu", "effect": "NoSchedule"}], "node_selector": {"disk": "fast"}, "gpus": 1},
        "pull_secrets": ["registry"],
    }
    _, cluster = compile_ir(tmp_path, {**PARAMS, "pipeline": section})
    pods = cluster["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for pod in pods.values():
        (secret,) = pod["secretAsEnv"]
        assert secret["secretNameParameter"]["runtimeValue"]["constant"] == "s3"
        assert secret["keyToEnv"] == [{"envVar": "AWS_ACCESS_KEY_ID", "secretKey": "key"}]
        (config_map,) = pod["configMapAsEnv"]
        assert config_map["keyToEnv"] == [{"envVar": "AWS_ENDPOINT_URL", "configMapKey": "url"}]
        assert pod["pvcMount"][0]["mountPath"] == "/thaw"
        assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": "1000"}
        assert len(pod["imagePullSecret"]) == 1
    assert pods["exec-warmup"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pods["exec-warmup"]["nodeSelector"] == {"labels": {"disk": "fast"}}
    assert not {"tolerations", "nodeSelector"} & set(pods["exec-prepare"]), "the cpu image leaves GPU nodes alone"


def loop(ir: dict[str, Any], name: str) -> tuple[Any, Any]:
    """A loop's own task, and the graph that it repeats."""
    dags = [one["dag"]["tasks"] for one in (ir["root"], *ir["components"].values()) if "dag" in one]
    (task,) = [task for tasks in dags for task in tasks.values() if task["taskInfo"]["name"] == name]
    return task, ir["components"][task["componentRef"]["name"]]["dag"]["tasks"]


def test_folds_and_seeds_are_loops_and_prepare_runs_once_per_fold(tmp_path: Path) -> None:
    ir = compile_ir(tmp_path, {**PARAMS, "pipeline": {"folds": 3, "seeds": [0, 7], "parallelism": 2}})[0]
    folds, per_fold = loop(ir, "folds")
    seeds, per_seed = loop(ir, "seeds")
    assert json.loads(folds["parameterIterator"]["items"]["raw"]) == ["0/3", "1/3", "2/3"]
    assert json.loads(seeds["parameterIterator"]["items"]["raw"]) == ["0", "7"]
    assert folds["iteratorPolicy"]["parallelismLimit"] == 2
    assert seeds["iteratorPolicy"]["parallelismLimit"] == 1, "two folds at a time are two members at a time"
    assert [name for name in per_fold if not name.startswith("for-loop")] == ["prepare"]
    assert set(per_seed) == {node.stage.replace("_", "-") for node in NODES if node.is_on(PARAMS)} - {"prepare"}
    for task in per_seed.values():
        assert {"fold", "seed"} <= set(task["inputs"]["parameters"])
    assert "fold" in per_fold["prepare"]["inputs"]["parameters"]


@pytest.mark.parametrize(("section", "name"), [({"folds": 3}, "folds"), ({"seeds": [4]}, "seeds")])
def test_either_alone_is_one_loop(tmp_path: Path, section: dict[str, Any], name: str) -> None:
    ir = compile_ir(tmp_path, {**PARAMS, "pipeline": section})[0]
    _, inside = loop(ir, name)
    assert ("prepare" in inside) is (name == "folds")
    (given,) = {frozenset(task["inputs"]["parameters"]) & {"fold", "seed"} for task in inside.values()}
    assert given == {name.removesuffix("s")}


def test_the_outcome_is_pushed_after_everything(tmp_path: Path) -> None:
    assert "outcome" not in compile_ir(tmp_path)[0]["root"]["dag"]["tasks"], "there is nowhere to push it"
    params = {**PARAMS, "runtime": {"pushgateway": "gateway:9091"}}
    ir, cluster = compile_ir(tmp_path, params)
    tasks = ir["root"]["dag"]["tasks"]
    (stages_,) = set(tasks) - {"outcome"}
    assert tasks["outcome"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    given = tasks["outcome"]["inputs"]["parameters"]
    assert given["status"] == {"taskFinalStatus": {"producerTask": stages_}}
    assert given["pushgateway"]["runtimeValue"]["constant"] == "gateway:9091"
    assert tasks["outcome"]["cachingOptions"].get("enableCache", False) is False
    assert executors(ir)["outcome"]["image"] == IMAGES["cpu"]
    assert executors(ir)["outcome"]["args"][0] == "outcome"
    assert "exec-outcome" in cluster["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"stages": {"warm_up": {}}}, "no stages"),
        ({"stages": {"warmup": {"gpu": 1}}}, "gpus"),
        ({"defaults": {"memory": "8 GB"}}, "memory"),
        ({"default": {}}, "defaults"),
        ({"gpu": {"gpu": 1}}, "gpus"),
        ({"folds": 2}, "3 folds at least"),
        ({"seeds": [1, 1]}, "different whole numbers"),
        ({"defaults": {"tolerations": [{"keys": "gpu"}]}}, "key"),
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
import pathlib, pipelines.commands, pipelines.graph as g, pipelines.plan as p
graph = g.build(p.make_plan("toy", {}, narrow=lambda stage, params: params), {"cpu": "c", "gpu": "g"})
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
