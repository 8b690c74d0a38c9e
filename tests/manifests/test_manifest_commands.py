"""What containers run are commands of this program, their values are valid, and ports are the ones named elsewhere."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from rendered import Object, containers, objects, of_kind, pods, text

from components import stages
from components.cli.main import parser
from components.cli.values import configure, resolve
from components.core.runtime import Runtime
from components.core.stage import StageConfig
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from pipelines.cli import mount
from pipelines.commands_serve import PORT

METRICS = 9464
TUNED = {"rate": ("1e-05", "0.001"), "layerDecay": ("0.6", "1.0"), "weightDecay": ("0.001", "0.1")}


def parse(words: list[str]) -> Any:
    """A command line after the program's name, read by the real parser: a wrong word ends the test."""
    top, commands = parser("thaw")
    mount(commands)
    return top.parse_args(words)


def config_of(words: list[str]) -> StageConfig:
    """The validated values of a stage's command line."""
    stage = stages.load(words[0])
    values, source = resolve(parse(words))
    return configure(stage, values, source)


def train_words() -> list[str]:
    """What each process of the TrainJob gets: torchrun's own words are read by torchrun's own parser."""
    from torch.distributed.run import get_args_parser

    (job,) = of_kind("TrainJob")
    trainer = job["spec"]["trainer"]
    assert trainer["command"] == ["torchrun"]
    given = get_args_parser().parse_args(trainer["args"])
    assert given.module and given.training_script == "components"
    return list(given.training_script_args)


def trial_words(end: int) -> list[str]:
    """What a trial gets at the lower (0) or upper (1) end of every range."""
    (pod,) = [pod for name, pod in pods() if name.startswith("Experiment")]
    (trial,) = containers(pod)
    assert trial["command"] == ["python", "-m", "components"]
    chosen = {name: ends[end] for name, ends in TUNED.items()} | {"trial": "trial-1"}
    return [re.sub(r"\$\{trialParameters\.(\w+)\}", lambda found: chosen[found[1]], word) for word in trial["args"]]


def test_the_train_job_is_a_stage_of_valid_values() -> None:
    config = config_of(train_words())
    assert config.runtime.checkpoints.store == "s3://thaw/checkpoints/hvit"
    assert stages.load("end_to_end").together, "processes of a launch share the work of this stage"


def test_a_train_job_asks_for_as_many_processes_as_gpus() -> None:
    (job,), (runtime,) = of_kind("TrainJob"), of_kind("ClusterTrainingRuntime")
    (pod,) = [pod for name, pod in pods() if name.startswith("ClusterTrainingRuntime")]
    gpus = int(pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
    assert job["spec"]["trainer"]["numProcPerNode"] == gpus
    assert job["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]


@pytest.mark.parametrize("end", [0, 1])
def test_a_trial_is_a_stage_of_valid_values(end: int) -> None:
    config: Any = config_of(trial_words(end))
    phase = config.end_to_end
    assert set(phase.trainable.values()) == {float(TUNED["rate"][end])}, "every part has the rate that was drawn"
    assert phase.layer_decay == float(TUNED["layerDecay"][end])
    assert phase.weight_decay == float(TUNED["weightDecay"][end])
    assert config.runtime.checkpoints.store.endswith("/trial-1"), "trials share no run's prefix"


def test_what_is_searched_is_what_trials_take() -> None:
    (experiment,) = of_kind("Experiment")
    spec = experiment["spec"]
    searched = {one["name"]: one["feasibleSpace"] for one in spec["parameters"]}
    taken = {one["name"]: one["reference"] for one in spec["trialTemplate"]["trialParameters"]}
    assert taken.pop("trial") == "${trialSpec.Name}"
    assert set(taken.values()) == set(searched)
    ends = {name: (searched[of]["min"], searched[of]["max"]) for name, of in taken.items()}
    assert {name: tuple(map(float, pair)) for name, pair in ends.items()} == {
        name: tuple(map(float, pair)) for name, pair in TUNED.items()
    }
    assert set(re.findall(r"trialParameters\.(\w+)", text("jobs/tune"))) == {*taken, "trial"}


def test_trials_never_see_the_test_split() -> None:
    """A training stage has no port for what `evaluate` writes, and its objective is a validation metric."""
    (experiment,) = of_kind("Experiment")
    assert trial_words(0)[0] in {"warmup", "partial_unfreeze", "end_to_end"}
    assert experiment["spec"]["objective"]["objectiveMetricName"].startswith("val/")


def collected(lines: str) -> list[tuple[str, float]]:
    """What Katib's collector finds: pairs of every filter's first two groups, of the objective."""
    (experiment,) = of_kind("Experiment")
    spec = experiment["spec"]
    name = spec["objective"]["objectiveMetricName"]
    filters = spec["metricsCollectorSpec"]["source"]["filter"]["metricsFormat"]
    found = [one for line in lines.splitlines() if name in line for rule in filters for one in re.finditer(rule, line)]
    return [(one[1], float(one[2])) for one in found if one[1] == name]


def test_katib_can_read_what_a_stage_prints(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Tracker(Runtime(progress=False), RunLabels("hvit", "end_to_end")) as tracker:
        tracker.validation("end_to_end", 0, 6, {"train/loss": 1.5, "val/f1_macro": 0.25, "val/f1_macro_tta": 0.75})
        tracker.validation("end_to_end", 1, 12, {"train/loss": 1.25, "val/f1_macro": 0.5, "val/loss": float("nan")})
    assert collected(caplog.text) == [("val/f1_macro", 0.25), ("val/f1_macro", 0.5)]


def test_the_server_is_a_command() -> None:
    (pod,) = [pod for name, pod in pods("serve")]
    (container,) = containers(pod)
    assert container["command"] == ["python", "-m", "pipelines"]
    given = parse(container["args"])
    assert str(given.bundle) in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert given.address == "all"
    assert given.port == PORT == container["ports"][0]["containerPort"]


def words(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str):
        yield value


def test_stages_serve_metrics_where_they_are_sought() -> None:
    for config in (config_of(train_words()), config_of(trial_words(0))):
        assert config.runtime.metrics_port == METRICS
        assert config.runtime.metrics_address == "all"
    declared = {
        port["containerPort"]
        for _, pod in pods("overlays/cluster", "jobs/tune")
        for one in containers(pod)
        for port in one["ports"]
        if port["name"] == "metrics"
    }
    assert declared == {METRICS}
    scraped = {word for one in of_kind("PodMonitor") for word in words(one) if word.startswith("$1:")}
    assert scraped == {f"$1:{METRICS}"}
    for one in of_kind("NetworkPolicy", "overlays/cluster"):
        if one["metadata"]["name"] in {"stages", "pipeline-tasks"}:
            assert admitted(one) >= {METRICS}


def admitted(policy: Object) -> set[int]:
    return {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])}


def test_outcomes_go_where_the_gateway_is() -> None:
    (service,) = of_kind("Service", "overlays/cluster")
    (gateway,) = [pod for name, pod in pods("overlays/cluster") if name == "Deployment/pushgateway"]
    port = service["spec"]["ports"][0]["port"]
    place = f"{service['metadata']['name']}.{service['metadata']['namespace']}:{port}"
    assert config_of(train_words()).runtime.pushgateway == place
    (container,) = containers(gateway)
    assert f"--web.listen-address=:{port}" in container["args"]
    assert port == container["ports"][0]["containerPort"]


def test_every_object_that_runs_us_is_covered_here() -> None:
    """A container of ours that no test of this file parses would be a command nobody tried."""
    ours = {name for name, pod in pods() if any("thaw" in one["image"] for one in containers(pod))}
    assert ours == {"ClusterTrainingRuntime/thaw-torchrun", "Experiment/hvit-end-to-end", "Deployment/serve"}
    assert {one["kind"] for one in objects("jobs/train")} == {"TrainJob"}


def retried(status: str, exit_code: str, message: str) -> bool:
    """The retry expression of the workflow controller's defaults, its few operators read as Python's."""
    (config,) = of_kind("ConfigMap", "argo")
    defaults = yaml.safe_load(config["data"]["workflowDefaults"])["spec"]["templateDefaults"]["retryStrategy"]
    assert defaults["retryPolicy"] == "Always" and int(defaults["limit"]) <= 5
    source = defaults["expression"].replace("&&", " and ").replace("||", " or ").replace("\n", " ")
    source = re.sub(r"lastRetry\.message matches (\"[^\"]*\")", r"bool(search(\1, message))", source)
    source = source.replace("lastRetry.status", "status").replace("lastRetry.exitCode", "code")
    scope = {"search": re.search, "asInt": int, "status": status, "code": exit_code, "message": message}
    return bool(eval(source, {"__builtins__": {"bool": bool}}, scope))  # noqa: S307  the repository's own text


@pytest.mark.parametrize(
    ("status", "exit_code", "message", "again"),
    [
        ("Error", "-1", "pod deleted", True),
        ("Error", "-1", "The node was low on resource: memory.", True),
        ("Error", "-1", "Pod was terminated in response to imminent node shutdown.", True),
        ("Failed", "75", "Error (exit code 75)", True),
        ("Failed", "1", "Error (exit code 1)", True),
        ("Failed", "137", "OOMKilled (exit code 137)", True),
        ("Failed", "2", "Error (exit code 2)", False),
        ("Failed", "-1", "child 'graph' failed", False),
        ("Error", "-1", "No more retries left", False),
        ("Error", "-1", "template is not valid", False),
    ],
)
def test_what_argo_tries_again(status: str, exit_code: str, message: str, again: bool) -> None:
    """Drained pods and temporary failures, never bad input, and never a whole graph (which has no exit code)."""
    assert retried(status, exit_code, message) is again
