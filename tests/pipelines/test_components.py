"""One signature everywhere: a stage's ports, its container component, its lines in dvc.yaml."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp.dsl.placeholders import convert_command_line_element_to_string
from kfp.dsl.structures import InputSpec

from components import recipes, stages
from components.core.component import IMAGES, arguments, executor_output, flag
from components.core.errors import BadInput
from components.core.stage import Stage
from pipelines.graph import COMPONENTS
from pipelines.wiring import NODES

DVC = yaml.safe_load((Path(__file__).resolve().parents[2] / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

VALUES = {"recipe", "values", "code_digest"}
"""Parameters that every component has, none of them a port."""

NO_PORTS = VALUES | {"raw_digest", "fold", "seed"}
"""Parameters that are not ports of the stage."""

PARAMS = sorted((Path(__file__).resolve().parents[2] / "pipelines" / "params").glob("*.yaml"))


def stage(name: str) -> Stage[Any, Any, Any]:
    if find_spec(f"components.{name}.stage") is None or not hasattr(recipes, "AnyRecipe"):
        pytest.skip(f"components/{name}/stage.py is not written yet")
    return stages.load(name)


def component(name: str) -> Any:
    return COMPONENTS[name].component_spec


def command(name: str) -> list[str]:
    return [convert_command_line_element_to_string(word) for word in component(name).implementation.container.args]


def dvc_flags(name: str) -> dict[str, str]:
    words = DVC[name]["cmd"].split()
    assert words[:3] == ["thaw", name.replace("_", "-"), "${item.recipe}"]
    return dict(zip(words[3::2], words[4::2], strict=True))


def test_every_stage_is_a_node_and_a_dvc_stage() -> None:
    assert [node.stage for node in NODES] == list(stages.NAMES)
    assert list(DVC) == list(stages.NAMES)


@pytest.mark.parametrize("name", stages.NAMES)
def test_the_component_has_the_stage_s_ports(name: str) -> None:
    spec = component(name)
    inputs: dict[str, InputSpec] = {key: one for key, one in spec.inputs.items() if key not in NO_PORTS}
    assert {port.name: port.required for port in stage(name).input_ports()} == {
        port: not one.optional for port, one in inputs.items()
    }
    assert {port.name for port in stage(name).output_ports()} == set(spec.outputs)


@pytest.mark.parametrize("name", stages.NAMES)
def test_the_command_names_every_port_once(name: str) -> None:
    spec, text = component(name), " ".join(command(name))
    ports = [*spec.inputs, *spec.outputs]
    for port in set(ports) - VALUES - {"raw_digest"}:  # fold and seed are options of the command too
        assert len(re.findall(rf"(?<=[\s\"]){flag(port)}(?=[\s\"])", text)) == 1, port
    assert command(name)[0] == name
    assert spec.implementation.container.image in IMAGES.values()


@pytest.mark.parametrize("name", stages.NAMES)
def test_every_component_takes_the_values_and_the_code_s_digest(name: str) -> None:
    inputs = component(name).inputs
    assert set(inputs) >= VALUES
    assert all(inputs[key].type == "String" for key in VALUES)
    assert ("raw_digest" in inputs) == ("raw" in inputs)
    (member,) = [node.member for node in NODES if node.stage == name]
    assert set(inputs) & {"fold", "seed"} == set(member)


@pytest.mark.parametrize("name", stages.NAMES)
def test_dvc_gives_every_required_port_and_declares_it(name: str) -> None:
    spec, flags, lines = component(name), dvc_flags(name), DVC[name]
    (edges,) = [node.inputs for node in NODES if node.stage == name]
    required = {port for port, one in spec.inputs.items() if port not in VALUES and not one.optional} | set(edges)
    assert set(flags) == {"--size", *(flag(port) for port in [*required, *spec.outputs])}
    assert {flags[flag(port)] for port in required} == set(lines["deps"]) - {"components"}
    declared = [
        one if isinstance(one, str) else next(iter(one))
        for key in ("outs", "metrics", "plots")
        for one in lines.get(key, [])
    ]
    assert {flags[flag(port)] for port in spec.outputs} == set(declared)


@pytest.mark.parametrize("name", stages.NAMES)
def test_dvc_watches_the_code_and_exactly_the_values_that_are_used(name: str) -> None:
    assert "components" in DVC[name]["deps"]
    (lines,) = DVC[name]["params"]
    ((file, keys),) = lines.items()
    assert file == "pipelines/params/${item.recipe}.yaml"
    assert PARAMS
    for params in PARAMS:
        document = yaml.safe_load(params.read_text(encoding="utf-8"))
        stated = {
            f"{size}.{key}"
            for size in ("shared", "tiny")
            for key in stage(name).config.uses
            if _has(document[size], key)
        }
        assert set(keys) == stated, f"{params.name} and dvc.yaml disagree for {name}"


def _has(section: Any, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(section, dict) or key not in section:
            return False
        section = section[key]
    return True


def test_dvc_outputs_are_the_inputs_of_the_graph_s_edges() -> None:
    for node in NODES:
        for port, source in node.inputs.items():
            producer, _, output = source.partition(".")
            assert dvc_flags(node.stage)[flag(port)] == dvc_flags(producer)[flag(output)]


def test_metrics_stay_out_of_dvc_s_cache() -> None:
    for name in ("pretrain", "warmup", "partial_unfreeze", "end_to_end", "evaluate"):
        ((options),) = DVC[name]["metrics"][0].values()
        assert options == {"cache": False}


def test_arguments_are_one_word_each() -> None:
    words = arguments("warmup", "toy", '{"a b": null}', {"end_to_end": "/x y"})
    assert words[:6] == ["warmup", "toy", "--values", '{"a b": null}', "--end-to-end", "/x y"]
    assert words[6:] == ["--executor-input", "{{$}}", "--executor-output", "{{$.outputs.output_file}}"]


GIVEN = json.dumps({"outputs": {"artifacts": {"metrics": {"artifacts": [{"uri": "s3://b/m", "metadata": {"a": 1}}]}}}})


def test_the_executor_output_lists_every_declared_output_under_its_uri() -> None:
    written = json.loads(executor_output(GIVEN, {"metrics": {"dice": 0.5}}))
    assert written == {
        "artifacts": {"metrics": {"artifacts": [{"uri": "s3://b/m", "metadata": {"a": 1, "dice": 0.5}}]}}
    }
    assert json.loads(executor_output('{"outputs": {}}', {})) == {"artifacts": {}}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"outputs": {"artifacts": {"a": {}}}}', '{"outputs": 1}'])
def test_a_foreign_executor_input_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        executor_output(text, {})


def test_metadata_of_an_undeclared_output_is_refused() -> None:
    with pytest.raises(BadInput, match="does not declare"):
        executor_output(GIVEN, {"metric": {}})
