"""Every object is valid against its published schema, and unknown fields are errors."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from hera.workflows.models import WorkflowSpec
from kubeflow_katib_api.models import V1beta1Experiment
from kubeflow_trainer_api.models import TrainerV1alpha1ClusterTrainingRuntime, TrainerV1alpha1TrainJob
from rendered import EVERY, Object, objects, of_kind

KUBERNETES = "1.32"
CUSTOM = {
    "ClusterTrainingRuntime": TrainerV1alpha1ClusterTrainingRuntime,
    "TrainJob": TrainerV1alpha1TrainJob,
    "Experiment": V1beta1Experiment,
}
OPERATOR = json.loads(
    (Path(__file__).parents[1] / "fixtures/crds/monitoring.coreos.com.json").read_text(encoding="utf-8")
)["kinds"]


def check(one: Object) -> None:
    """Raise what is wrong with an object."""
    kind = one["kind"]
    if kind in CUSTOM:
        known = CUSTOM[kind].from_dict(one)
        assert unknown(one, json.loads(known.model_dump_json(by_alias=True, exclude_unset=True))) == []
    elif kind in OPERATOR:
        jsonschema.validate(one, OPERATOR[kind])
    else:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def unknown(given: Any, kept: Any, path: str = "") -> list[str]:
    """Places of what a model did not keep: it drops fields that it does not know."""
    if isinstance(given, dict) and isinstance(kept, dict):
        lost = [f"{path}.{key}" for key in given if key not in kept]
        return lost + [
            entry for key in given.keys() & kept.keys() for entry in unknown(given[key], kept[key], f"{path}.{key}")
        ]
    if isinstance(given, list) and isinstance(kept, list):
        pairs = zip(given, kept, strict=True)
        return [entry for index, (a, b) in enumerate(pairs) for entry in unknown(a, b, f"{path}[{index}]")]
    return []


def trials() -> list[Object]:
    """What an experiment starts; the experiment's own schema leaves it open."""
    specs = [one["spec"]["trialTemplate"]["trialSpec"] for one in of_kind("Experiment")]
    return [{**deepcopy(spec), "metadata": {"name": "trial"}} for spec in specs]


@pytest.mark.parametrize("name", EVERY)
def test_every_object_is_valid(name: str) -> None:
    for one in objects(name):
        check(one)


def test_every_trial_is_valid() -> None:
    for one in trials():
        check(one)


@pytest.mark.parametrize("kind", ["Deployment", "PodMonitor", "TrainJob", "ClusterTrainingRuntime", "Experiment"])
def test_an_unknown_field_is_found(kind: str) -> None:
    one = deepcopy(of_kind(kind)[0])
    one["spec"]["typo"] = 1
    with pytest.raises(Exception, match="typo"):
        check(one)


@pytest.mark.parametrize("kind", ["Deployment", "PodMonitor", "ClusterTrainingRuntime"])
def test_a_value_of_another_type_is_found(kind: str) -> None:
    one = deepcopy(of_kind(kind)[0])
    deepest = {
        "Deployment": lambda: one["spec"].update(replicas="two"),
        "PodMonitor": lambda: one["spec"]["podMetricsEndpoints"][0].update(honorLabels=["yes"]),
        "ClusterTrainingRuntime": lambda: one["spec"]["mlPolicy"].update(numNodes="many"),
    }
    deepest[kind]()
    with pytest.raises((ValueError, jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(one)


def test_the_workflows_defaults_are_a_workflows() -> None:
    (config,) = of_kind("ConfigMap", "argo")
    spec = yaml.safe_load(config["data"]["workflowDefaults"])["spec"]
    known = json.loads(WorkflowSpec.model_validate(spec).model_dump_json(by_alias=True, exclude_unset=True))
    assert unknown(spec, known) == []
