"""The one graph: the wiring as a KFP pipeline. Recipes differ in values, never in code."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, kubernetes

from components import stages
from components.core.config import canonical
from components.core.digest import digest_code
from components.core.errors import BadInput
from components.end_to_end.component import end_to_end
from components.evaluate.component import evaluate
from components.export.component import export
from components.partial_unfreeze.component import partial_unfreeze
from components.prepare.component import prepare
from components.pretrain.component import pretrain
from components.warmup.component import warmup
from pipelines.settings import TaskSettings, read_settings
from pipelines.wiring import NODES, Node

Narrow = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Stage name and a recipe's resolved params to the values which that stage reads."""


COMPONENTS: Mapping[str, Any] = {
    "prepare": prepare,
    "pretrain": pretrain,
    "warmup": warmup,
    "partial_unfreeze": partial_unfreeze,
    "end_to_end": end_to_end,
    "evaluate": evaluate,
    "export": export,
}
"""Container component by stage."""


def stage_values(stage: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level keys of the params that a stage's Config has.

    Narrowing keeps the pipeline's cache precise: another evaluation setting does not train again.
    """
    fields = stages.load(stage).config.model_fields
    return {key: value for key, value in params.items() if key in fields}


def build(
    recipe: str,
    params: Mapping[str, Any],
    images: Mapping[str, str],
    *,
    nodes: Sequence[Node] = NODES,
    components: Mapping[str, Any] = COMPONENTS,
    narrow: Narrow = stage_values,
) -> Any:
    """Link a recipe's nodes into a pipeline.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        images: Image reference by `cpu` and `gpu`.
        nodes: The nodes, producers first.
        components: Container component by stage.
        narrow: Chooses what each stage reads.

    Returns:
        kfp's pipeline object, with the parameters `raw` and `raw_digest`.

    Raises:
        BadInput: The `pipeline:` section is wrong, or a required port would have no producer.
    """
    settings = read_settings(params, [node.stage for node in nodes])
    active = [node for node in nodes if node.is_on(params)]
    code = digest_code()

    @dsl.pipeline(name=f"thaw-{recipe.replace('_', '-')}", description=f"Staged training of {recipe}.")
    def graph(raw: str = "", raw_digest: str = "") -> None:
        given = {"raw": raw, "raw_digest": raw_digest}
        tasks: dict[str, Any] = {}
        for node in active:
            values = canonical(dict(narrow(node.stage, params)))
            constants = {"recipe": recipe, "values": values, "code_digest": code}
            parameters = {name: given[name] for name in node.parameters}
            component = components[node.stage]
            optional = {port for port, one in component.component_spec.inputs.items() if one.optional}
            task = component(**constants, **parameters, **_edges(node, tasks, nodes, optional))
            task.set_container_image(images[node.image])
            _configure(task, settings.task(node.stage, node.image))
            tasks[node.stage] = task

    return graph


def compile_graph(graph: Any, output: Path) -> Path:
    """Write a pipeline's IR YAML.

    Returns:
        The file: one document for the graph and, where the cluster needs settings, one for those.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(graph, str(output))
    return output


def _edges(node: Node, tasks: Mapping[str, Any], nodes: Sequence[Node], optional: Collection[str]) -> dict[str, Any]:
    known = {other.stage for other in nodes}
    edges = {}
    for port, source in node.inputs.items():
        producer, _, output = source.partition(".")
        if producer in tasks:
            edges[port] = tasks[producer].outputs[output]
        elif producer not in known or port not in optional:
            raise BadInput(
                f"{node.stage}: nothing makes its input {port!r}",
                where=source,
                remedy="switch the producer on, and list it before its consumers",
            )
    return edges


def _configure(task: Any, settings: TaskSettings) -> None:
    task.set_cpu_request(settings.cpu).set_cpu_limit(settings.cpu)
    task.set_memory_request(settings.memory).set_memory_limit(settings.memory)
    task.set_caching_options(enable_caching=settings.cache)
    if settings.retries:
        task.set_retry(
            num_retries=settings.retries, backoff_duration=f"{settings.backoff_seconds}s", backoff_factor=2.0
        )
    if settings.gpus:
        task.set_accelerator_type(settings.accelerator).set_accelerator_limit(settings.gpus)
    if settings.timeout_seconds:
        kubernetes.set_timeout(task, settings.timeout_seconds)
    if settings.shm:
        kubernetes.empty_dir_mount(
            task,
            volume_name="shm",
            mount_path="/dev/shm",  # noqa: S108  the mount point of shared memory, not a temporary file
            medium="Memory",
            size_limit=settings.shm,
        )
    for name, value in sorted(settings.env.items()):
        task.set_env_variable(name, value)
