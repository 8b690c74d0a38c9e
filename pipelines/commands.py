"""What `thaw pipeline` does: compile a recipe's graph, and run it on this machine. Free of torch."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from components.core.component import IMAGES
from components.core.digest import digest_path
from components.core.errors import BadInput
from pipelines.graph import COMPONENTS, build, compile_graph
from pipelines.runner.local import run_ir
from pipelines.runner.result import RunResult

DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def compile_command(
    recipe: str, params: Mapping[str, Any], image: str, output: Path, cpu_image: str | None = None
) -> Path:
    """Compile a recipe's graph for a cluster.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        image: `name@sha256:...` of the image that trains, evaluates and exports.
        output: IR YAML file to write.
        cpu_image: The smaller image for `prepare`; None takes `image`.

    Returns:
        The file written.

    Raises:
        BadInput: An image is not pinned by its digest, or the params do not fit the graph.
    """
    images = {"cpu": cpu_image or image, "gpu": image}
    for name in images.values():
        if not DIGEST.fullmatch(name):
            raise BadInput(
                "an image must be pinned by its digest: a tag can change between two runs",
                where=name,
                remedy="write name@sha256:<64 hex digits>, as the registry reported it when the image was pushed",
            )
    return compile_graph(build(recipe, params, images), output)


def run_command(
    recipe: str,
    params: Mapping[str, Any],
    raw: Path | None,
    root: Path,
    runner: Literal["subprocess"] = "subprocess",
    environment: Mapping[str, str] | None = None,
) -> RunResult:
    """Compile a recipe's graph and run it on this machine.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        raw: The user's data; None takes the recipe's synthetic data.
        root: Folder of the run. The compiled graph is `root/<recipe>.yaml`; running again resumes.
        runner: How tasks run.
        environment: Environment variables of every task, over this process's own.

    Returns:
        The outcome, with tasks under their stages' names.

    Raises:
        BadInput: The raw data does not exist, the runner is unknown, or the params do not fit the graph.
        Temporary: Another run is using `root`.
    """
    if runner != "subprocess":
        raise BadInput(f"no runner {runner!r}", where="--runner", remedy="choose subprocess")
    arguments = {} if raw is None else _raw_arguments(raw)
    ir = compile_graph(build(recipe, params, IMAGES), root / f"{recipe}.yaml")
    return _by_stage(run_ir(ir, arguments, root, environment))


def _raw_arguments(raw: Path) -> dict[str, str]:
    if not raw.exists():
        raise BadInput("the raw data does not exist", where=str(raw), remedy="correct --raw")
    return {"raw": str(raw.resolve()), "raw_digest": digest_path(raw)}


def _by_stage(result: RunResult) -> RunResult:
    """kfp's task names (`end-to-end`) back to the stages' (`end_to_end`)."""
    stages = {component.name: stage for stage, component in COMPONENTS.items()}
    failure = result.failure
    if failure is not None:
        failure = replace(failure, task=stages.get(failure.task, failure.task))
    outputs = {stages[task]: ports for task, ports in result.outputs.items()}
    return replace(result, outputs=outputs, failure=failure)
