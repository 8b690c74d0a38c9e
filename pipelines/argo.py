"""The same graph as a plain Argo workflow, for sites without Kubeflow: a plan in Argo's words.

Artifacts go through the artifact repository that the cluster names; nothing here knows its address or keys.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hera.workflows import DAG, Artifact, Container, Parameter, TarArchiveStrategy, Task, Workflow
from hera.workflows import models as argo

from components import stages
from components.core.component import COMMAND, command_line, flag
from components.core.store import durable
from pipelines.argo_pod import INPUTS, OUTPUTS, pod
from pipelines.local import output_in
from pipelines.plan import OUTCOME, Plan, Source
from pipelines.plan import Task as Planned

ENTRY = "graph"
"""Template of the whole graph; `fold` and `seed` are those below it, where it branches."""

PARAMETERS = {"raw": "{{workflow.parameters.raw}}"}
"""The pipeline's own parameters. A digest of the raw data is none: Argo has no cache that would ask for it."""


class Spelling:
    """A plan's templates.

    Args:
        plan: What to link.
        images: Image reference by `cpu` and `gpu`.
    """

    def __init__(self, plan: Plan, images: Mapping[str, str]) -> None:
        self._plan = plan
        self._images = images

    def workflow(self, raw: str = "") -> Workflow:
        """The workflow.

        Args:
            raw: Where pods find the raw data, as the default of its parameter; empty for the synthetic data.
        """
        plan, settings = self._plan, self._plan.settings
        ended = [] if plan.pushgateway is None else [self._outcome(plan.pushgateway)]
        return Workflow(
            generate_name=f"{plan.name}-",
            entrypoint=ENTRY,
            on_exit="outcome" if ended else None,
            arguments=[Parameter(name="raw", value=raw)],
            annotations={"thaw/code": plan.code},
            pod_metadata=argo.Metadata(
                labels={"app.kubernetes.io/name": "thaw", "app.kubernetes.io/component": "stage"}
            ),
            service_account_name=settings.service_account or None,
            image_pull_secrets=[argo.LocalObjectReference(name=name) for name in settings.pull_secrets] or None,
            templates=[*self._graphs(), *map(self._stage, plan.tasks), *ended],
        )

    def _graphs(self) -> list[DAG]:
        """The graph, and below it those of a fold and of a seed where it branches."""
        plan = self._plan
        outer = ("fold",) if plan.folds else ()
        body, below = [_call(task, outer) for task in plan.by_fold], []
        if plan.seeds:
            crossing = self._crossing()
            body.append(_loop("seed", plan.seeds, outer, crossing))
            calls = [_call(task, (*outer, "seed"), crossing) for task in plan.by_seed]
            below.append(_graph("seed", calls, (*outer, "seed"), crossing))
        else:
            body += [_call(task, outer) for task in plan.by_seed]
        bound = plan.at_once(inner=True) if plan.seeds else 0
        if not plan.folds:
            return [_graph(ENTRY, body, at_once=bound), *below]
        loop = _loop("fold", plan.folds, (), ())
        outermost = _graph(ENTRY, [loop], at_once=plan.at_once(inner=False))
        return [outermost, _graph("fold", body, outer, at_once=bound), *below]

    def _crossing(self) -> list[Source]:
        """Outputs that all seeds of a fold are given."""
        shared = {task.stage for task in self._plan.by_fold}
        found = {edge for task in self._plan.by_seed for edge in task.edges.values() if edge.stage in shared}
        return sorted(found, key=_artifact)

    def _stage(self, task: Planned) -> Container:
        """The template of a stage's container: the command line that every other door gives it too."""
        outputs = {
            port.name: str(output_in(Path(OUTPUTS), port.name)) for port in stages.load(task.stage).output_ports()
        }
        inputs = {port: f"{INPUTS}/{port}" for port in task.edges}
        given = {name: PARAMETERS[name] for name in task.node.parameters if name in PARAMETERS}
        member = {name: f"{{{{inputs.parameters.{name}}}}}" for name in task.node.member}
        return Container(
            name=_template(task.stage),
            image=self._images[task.node.image],
            command=list(COMMAND),
            args=command_line(task.stage, self._plan.recipe, task.values, {**member, **given, **inputs, **outputs}),
            inputs=[
                *(Parameter(name=name, value="") for name in task.node.member),
                *(Artifact(name=port, path=path) for port, path in inputs.items()),
            ],
            outputs=[
                Artifact(name=port, path=path, archive=TarArchiveStrategy(compression_level=0))
                for port, path in outputs.items()
            ],
            **pod(task.settings),
        )

    def _outcome(self, pushgateway: str) -> Container:
        settings = OUTCOME.model_copy(update={"user": self._plan.settings.defaults.user})
        told = {"pushgateway": pushgateway, "status": "{{workflow.status}}", "seconds": "{{workflow.duration}}"}
        flags = [word for name, value in told.items() for word in (flag(name), value)]
        return Container(
            name="outcome",
            image=self._images["cpu"],
            command=list(COMMAND),
            args=["outcome", self._plan.recipe, *flags],
            **pod(settings),
        )


def write_workflow(plan: Plan, images: Mapping[str, str], output: Path, raw: str = "") -> Path:
    """Write a plan as an Argo workflow in YAML, for `argo submit` or `kubectl create`.

    Args:
        plan: Of a recipe.
        images: Image reference by `cpu` and `gpu`.
        raw: Where pods find the raw data; empty for the synthetic data.

    Returns:
        The file.
    """
    text = Spelling(plan, images).workflow(raw).to_yaml()
    with durable.explained(output):
        durable.replace(output, text.encode())
    return output


def _call(task: Planned, parameters: Sequence[str], outside: Sequence[Source] = ()) -> Task:
    """A stage in a graph.

    Args:
        parameters: What the graph is given of fold and seed.
        outside: Outputs that the graph is given; others are its own tasks'.
    """
    own = [source for source in task.edges.values() if source not in outside]
    return Task(
        name=_template(task.stage),
        template=_template(task.stage),
        arguments=[
            *_passed([name for name in parameters if name in task.node.member]),
            *(Artifact(name=port, from_=_from(source, outside)) for port, source in task.edges.items()),
        ],
        depends=" && ".join(dict.fromkeys(_template(source.stage) for source in own)) or None,
    )


def _loop(name: str, items: Sequence[str], parameters: Sequence[str], given: Sequence[Source]) -> Task:
    """A graph per item."""
    return Task(
        name=f"{name}s",
        template=name,
        with_items=list(items),
        arguments=[
            *_passed(parameters),
            Parameter(name=name, value="{{item}}"),
            *(Artifact(name=_artifact(source), from_=_from(source, ())) for source in given),
        ],
        depends=" && ".join(dict.fromkeys(_template(source.stage) for source in given)) or None,
    )


def _graph(
    name: str, tasks: Sequence[Task], parameters: Sequence[str] = (), given: Sequence[Source] = (), at_once: int = 0
) -> DAG:
    return DAG(
        name=name,
        tasks=list(tasks),
        inputs=[*(Parameter(name=one) for one in parameters), *(Artifact(name=_artifact(one)) for one in given)],
        parallelism=at_once or None,
    )


def _passed(parameters: Sequence[str]) -> list[Parameter]:
    return [Parameter(name=name, value=f"{{{{inputs.parameters.{name}}}}}") for name in parameters]


def _from(source: Source, outside: Sequence[Source]) -> str:
    if source in outside:
        return f"{{{{inputs.artifacts.{_artifact(source)}}}}}"
    return f"{{{{tasks.{_template(source.stage)}.outputs.artifacts.{source.output}}}}}"


def _artifact(source: Source) -> str:
    return f"{_template(source.stage)}-{source.output}"


def _template(stage: str) -> str:
    """Names of templates and tasks are Kubernetes names."""
    return stage.replace("_", "-")
