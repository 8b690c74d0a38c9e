"""A recipe's graph before any orchestrator: tasks, edges, values, settings, and the members it branches into.

What Kubeflow and Argo are given are two spellings of one plan. It knows neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components import stages
from components.core.config import canonical
from components.core.digest import digest_code
from components.core.errors import BadInput
from pipelines.settings import PipelineSettings, TaskSettings, read_settings
from pipelines.wiring import NODES, Node

Narrow = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Stage name and a recipe's resolved params to the values which that stage reads."""

OUTCOME = TaskSettings(cpu="500m", memory="512Mi", shm="", retries=2, timeout_seconds=300, cache=False)
"""Settings of the exit handler: a message, not a stage."""


def stage_values(stage: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level keys of the params that a stage's Config has.

    Narrowing keeps the pipeline's cache precise: another evaluation setting does not train again.
    """
    fields = stages.load(stage).config.model_fields
    return {key: value for key, value in params.items() if key in fields}


@dataclass(frozen=True)
class Source:
    """The output that an input is."""

    stage: str
    output: str


@dataclass(frozen=True)
class Task:
    """A node with everything an orchestrator has to be told.

    Attributes:
        values: Canonical JSON of the stage's values: one string, which no orchestrator changes.
        edges: Source by input port; optional inputs that nothing makes are left out.
    """

    node: Node
    values: str
    edges: Mapping[str, Source]
    settings: TaskSettings

    @property
    def stage(self) -> str:
        return self.node.stage


@dataclass(frozen=True)
class Plan:
    """A recipe's graph.

    Attributes:
        name: Of the pipeline.
        code: Digest of the code that made the plan and that the images hold.
        tasks: Producers first.
        folds: `0/5`, `1/5`, ...; empty for one run on the values' own split.
        seeds: Training seeds; empty for the values' own.
        pushgateway: Where the exit handler pushes; None for no exit handler.
    """

    recipe: str
    name: str
    code: str
    tasks: tuple[Task, ...]
    folds: tuple[str, ...]
    seeds: tuple[str, ...]
    pushgateway: str | None
    settings: PipelineSettings

    @property
    def by_fold(self) -> tuple[Task, ...]:
        """Tasks that all seeds of a fold share."""
        return tuple(task for task in self.tasks if "seed" not in task.node.member)

    @property
    def by_seed(self) -> tuple[Task, ...]:
        """Tasks of every fold with every seed."""
        return tuple(task for task in self.tasks if "seed" in task.node.member)

    def at_once(self, inner: bool) -> int:
        """How many branches of a loop run at a time; 0 for all. Of two nested loops the outer one keeps the bound."""
        bound = self.settings.parallelism
        return min(bound, 1) if inner and self.folds else bound


def make_plan(
    recipe: str, params: Mapping[str, Any], *, nodes: Sequence[Node] = NODES, narrow: Narrow = stage_values
) -> Plan:
    """Link a recipe's nodes.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        nodes: The nodes, producers first.
        narrow: Chooses what each stage reads.

    Raises:
        BadInput: A setting is wrong, or an input has no producer.
    """
    settings = read_settings(params, [node.stage for node in nodes])
    active = [node for node in nodes if node.is_on(params)]
    made = {node.stage for node in active}
    tasks = tuple(
        Task(
            node,
            _spelled(dict(narrow(node.stage, params)), node.stage),
            _edges(node, made, nodes),
            settings.task(node.stage, node.image),
        )
        for node in active
    )
    return Plan(
        recipe=recipe,
        name=f"thaw-{recipe.replace('_', '-')}",
        code=digest_code(),
        tasks=tasks,
        folds=tuple(f"{fold}/{settings.folds}" for fold in range(settings.folds)),
        seeds=tuple(map(str, settings.seeds)),
        pushgateway=(params.get("runtime") or {}).get("pushgateway"),
        settings=settings,
    )


def _spelled(values: Mapping[str, Any], stage: str) -> str:
    """Canonical JSON. Raises BadInput where it holds what an orchestrator would replace."""
    text = canonical(values)
    if "{{" in text:
        raise BadInput(
            "a value holds {{, which orchestrators take for a placeholder of theirs",
            where=f"values of {stage}: ...{text[text.index('{{') :][:40]}",
            remedy="write it with one brace",
        )
    return text


def _edges(node: Node, made: set[str], nodes: Sequence[Node]) -> dict[str, Source]:
    known = [other.stage for other in nodes]
    optional = {port.name for port in stages.load(node.stage).input_ports() if not port.required}
    edges = {}
    for port, source in node.inputs.items():
        producer, _, output = source.partition(".")
        if producer in made and known.index(producer) < known.index(node.stage):
            edges[port] = Source(producer, output)
        elif producer not in known or port not in optional:
            raise BadInput(
                f"{node.stage}: nothing makes its input {port!r}",
                where=source,
                remedy="switch the producer on, and list it before its consumers",
            )
    return edges
