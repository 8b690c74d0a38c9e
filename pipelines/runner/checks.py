"""What a compiled graph must not hold, and what it must be given, to run on this machine."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from components.core.errors import BadInput

CHANNEL = re.compile(r"inputs\.parameter_values\['([^']+)'\]")


def read_ir(path: Path) -> Any:
    """Read the graph (the first document) of an IR YAML file.

    Raises:
        BadInput: The file is missing or holds no compiled graph.
    """
    try:
        document = next(iter(yaml.safe_load_all(path.read_text(encoding="utf-8"))), None)
        spec = json_format.ParseDict(document, PipelineSpec())
    except FileNotFoundError as error:
        raise BadInput("no compiled graph here", where=str(path), remedy="compile it first") from error
    except (yaml.YAMLError, UnicodeDecodeError, json_format.ParseError, AttributeError, TypeError) as error:
        raise BadInput(f"not a compiled graph: {error}", where=str(path), remedy="compile it again") from error
    if not spec.root.dag.tasks:
        raise BadInput("the compiled graph has no tasks", where=str(path), remedy="compile it again")
    return spec


def check_arguments(spec: Any, arguments: Mapping[str, Any], where: str) -> None:
    """Refuse arguments the graph does not know and the absence of those it needs. Raises BadInput."""
    declared = spec.root.input_definitions.parameters
    if unknown := sorted(set(arguments) - set(declared)):
        raise BadInput(f"the graph takes no {unknown}", where=where, remedy=f"it takes {sorted(declared)}")
    needed = {name for name, one in declared.items() if not one.HasField("default_value") and not one.is_optional}
    if missing := sorted(needed - set(arguments)):
        raise BadInput(f"the graph needs {missing}", where=where, remedy="give a value for each")


def check_conditions(spec: Any, where: str) -> None:
    """Refuse branches on what a task has computed.

    kfp's local orchestrator cannot resolve a container's output in a condition; it then skips the branch and
    reports success. Branches on the graph's own parameters are resolved.

    Raises:
        BadInput: Naming the branch and the value it depends on.
    """
    own = set(spec.root.input_definitions.parameters)
    for name, task in _tasks(spec):
        for channel in CHANNEL.findall(task.trigger_policy.condition):
            source = task.inputs.parameters.get(channel)
            computed = source is not None and source.HasField("task_output_parameter")
            if computed or channel.removeprefix("pipelinechannel--") not in own:
                raise BadInput(
                    f"the branch {name!r} depends on {channel!r}, which a task computes",
                    where=where,
                    remedy="decide it when the graph is compiled, or by a parameter of the graph",
                )


def _tasks(spec: Any) -> Iterator[tuple[str, Any]]:
    """Every task of the graph and of the graphs inside it."""
    yield from spec.root.dag.tasks.items()
    for component in spec.components.values():
        yield from component.dag.tasks.items()
