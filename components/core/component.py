"""What every stage's container has in common: its command line, and what it tells the pipeline afterwards.

Free of kfp, so that the command line (which runs inside the container, where kfp is not installed) and the
component definitions (which need kfp) share one spelling.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.core.errors import BadInput

COMMAND = ["python", "-m", "components"]
"""What every image answers to; the local runner puts this machine's interpreter in the place of `python`."""

EXECUTOR_INPUT = "{{$}}"
"""KFP replaces this by the task's inputs and outputs as JSON."""

EXECUTOR_OUTPUT = "{{$.outputs.output_file}}"
"""KFP replaces this by the file from which it reads the outputs' metadata."""

IMAGES = {"cpu": "thaw-cpu", "gpu": "thaw-gpu"}
"""Names a component carries until the compile step puts an image by digest in their place."""


def arguments(stage: str, recipe: Any, values: Any, ports: Mapping[str, Any]) -> list[Any]:
    """The arguments of a stage's container under KFP, after `COMMAND`.

    Args:
        stage: Name of the stage.
        recipe: Name of the recipe, or the pipeline's placeholder for it.
        values: Canonical JSON of the stage's values, or the placeholder: one string, because a pipeline's
            dict parameters hold no null and turn integers into floats.
        ports: Path (or placeholder) of every required port, inputs before outputs. Before them `fold` and `seed`, of
            members of a cross-validation.
    """
    told = ("--executor-input", EXECUTOR_INPUT, "--executor-output", EXECUTOR_OUTPUT)
    return [*command_line(stage, recipe, values, ports), *told]


def command_line(stage: str, recipe: Any, values: Any, ports: Mapping[str, Any]) -> list[Any]:
    """What every orchestrator passes to a stage's container: `arguments` without what KFP alone asks for."""
    flags = [word for name, path in ports.items() for word in (flag(name), path)]
    return [stage, recipe, "--values", values, *flags]


def flag(port: str) -> str:
    """The command line's spelling of a port: `partial_unfreeze` is `--partial-unfreeze`."""
    return "--" + port.replace("_", "-")


def executor_output(executor_input: str, metadata: Mapping[str, Mapping[str, Any]]) -> str:
    """What a finished container writes to `--executor-output`.

    Every declared output artifact is listed under the URI the pipeline gave it: an artifact that is not
    listed does not reach the next task, and the local runner takes its absence for a failure.

    Args:
        executor_input: The JSON given as `--executor-input`.
        metadata: Values to show beside an output, by port (numbers of a Metrics artifact, for example).

    Returns:
        JSON text.

    Raises:
        BadInput: `executor_input` is not what KFP writes, or metadata names an output that is not declared.
    """
    try:
        declared: dict[str, Any] = json.loads(executor_input).get("outputs", {}).get("artifacts", {})
        listed = {port: dict(entry["artifacts"][0]) for port, entry in declared.items()}
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise BadInput(
            "cannot read the pipeline's description of this task",
            where="--executor-input",
            remedy="leave this option to the pipeline; it is not meant to be given by hand",
        ) from error
    if unknown := sorted(set(metadata) - set(listed)):
        raise BadInput(f"metadata for outputs that the task does not declare: {unknown}", where="--executor-input")
    for port, artifact in listed.items():
        artifact["metadata"] = {**artifact.get("metadata", {}), **metadata.get(port, {})}
    return json.dumps({"artifacts": {port: {"artifacts": [artifact]} for port, artifact in listed.items()}})


def confusion_metadata(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Metadata of a ClassificationMetrics artifact, in the form that kfp's own class writes and its pages draw.

    Args:
        counts: Rows are the truth, columns the prediction, in the order of the labels.
    """
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": label} for label in labels],
            "rows": [{"row": list(row)} for row in counts],
        }
    }
