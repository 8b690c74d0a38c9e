"""The one graph: a plan as a KFP pipeline. Recipes differ in values, never in code."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, kubernetes

from components.end_to_end.component import end_to_end
from components.evaluate.component import evaluate
from components.export.component import export
from components.outcome.component import outcome
from components.partial_unfreeze.component import partial_unfreeze
from components.prepare.component import prepare
from components.pretrain.component import pretrain
from components.warmup.component import warmup
from pipelines.plan import OUTCOME, Plan, Task
from pipelines.settings import TaskSettings

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

SHM = "/dev/shm"  # noqa: S108  the mount point of shared memory, not a temporary file


class Builder:
    """Spells a plan in KFP's words.

    Args:
        plan: What to link.
        images: Image reference by `cpu` and `gpu`.
    """

    def __init__(self, plan: Plan, images: Mapping[str, str]) -> None:
        self._plan = plan
        self._images = images
        self._given: dict[str, Any] = {}
        self._made: dict[str, Any] = {}

    def build(self) -> Any:
        """kfp's pipeline object, with the parameters `raw` and `raw_digest`."""
        plan = self._plan

        @dsl.pipeline(name=plan.name, description=f"Staged training of {plan.recipe}.")
        def graph(raw: str = "", raw_digest: str = "") -> None:
            self._given, self._made = {"raw": raw, "raw_digest": raw_digest}, {}
            with self._ended(), self._branches("fold", plan.folds):
                for task in plan.by_fold:
                    self._link(task)
                with self._branches("seed", plan.seeds, inner=True):
                    for task in plan.by_seed:
                        self._link(task)

        return graph

    def _link(self, task: Task) -> None:
        names = (*task.node.parameters, *task.node.member)
        parameters = {name: self._given[name] for name in names if name in self._given}
        edges = {port: self._made[source.stage].outputs[source.output] for port, source in task.edges.items()}
        constants = {"recipe": self._plan.recipe, "values": task.values, "code_digest": self._plan.code}
        made = COMPONENTS[task.stage](**constants, **parameters, **edges)
        self._configure(made, task.settings, task.node.image)
        self._made[task.stage] = made

    @contextmanager
    def _branches(self, name: str, items: Sequence[str], inner: bool = False) -> Iterator[None]:
        """One branch per item, which tasks are given by this name; none where there are no items."""
        if not items:
            yield
            return
        at_once = self._plan.at_once(inner) or None
        with dsl.ParallelFor(list(items), name=f"{name}s", parallelism=at_once) as item:
            self._given[name] = item
            yield

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Push the outcome after everything else, however it ended."""
        if self._plan.pushgateway is None:
            yield
            return
        task = outcome(recipe=self._plan.recipe, pushgateway=self._plan.pushgateway)
        pushing = OUTCOME.model_copy(update={"user": self._plan.settings.defaults.user})
        self._configure(task, pushing, "cpu")
        with dsl.ExitHandler(task, name="stages"):
            yield

    def _configure(self, task: Any, settings: TaskSettings, image: str) -> None:
        task.set_container_image(self._images[image])
        _use_resources(task, settings)
        _place(task, settings)
        if pull := self._plan.settings.pull_secrets:
            kubernetes.set_image_pull_secrets(task, pull)


def build(plan: Plan, images: Mapping[str, str]) -> Any:
    """A plan as a KFP pipeline.

    Args:
        plan: Of a recipe.
        images: Image reference by `cpu` and `gpu`.

    Returns:
        kfp's pipeline object, with the parameters `raw` and `raw_digest`.
    """
    return Builder(plan, images).build()


def compile_graph(graph: Any, output: Path) -> Path:
    """Write a pipeline's IR YAML.

    Returns:
        The file: one document for the graph and, where the cluster needs settings, one for those.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(graph, str(output))
    return output


def _use_resources(task: Any, settings: TaskSettings) -> None:
    task.set_cpu_request(settings.cpu).set_cpu_limit(settings.cpu)
    task.set_memory_request(settings.memory).set_memory_limit(settings.memory)
    task.set_caching_options(enable_caching=settings.cache)
    if settings.retries:
        task.set_retry(
            num_retries=settings.retries, backoff_duration=f"{settings.backoff_seconds}s", backoff_factor=2.0
        )
    if settings.gpus:
        task.set_accelerator_type(settings.accelerator).set_accelerator_limit(settings.gpus)
    for name, value in sorted(settings.env.items()):
        task.set_env_variable(name, value)


def _place(task: Any, settings: TaskSettings) -> None:
    """What only Kubernetes knows: where a pod may run, what it mounts, who it is."""
    kubernetes.set_security_context(task, run_as_user=settings.user, run_as_non_root=True)
    if settings.timeout_seconds:
        kubernetes.set_timeout(task, settings.timeout_seconds)
    if settings.shm:
        kubernetes.empty_dir_mount(task, volume_name="shm", mount_path=SHM, medium="Memory", size_limit=settings.shm)
    for secret, keys in sorted(settings.secrets.items()):
        kubernetes.use_secret_as_env(task, secret, keys, optional=True)
    for config_map, keys in sorted(settings.config_maps.items()):
        kubernetes.use_config_map_as_env(task, config_map, keys, optional=True)
    for claim, path in sorted(settings.volumes.items()):
        kubernetes.mount_pvc(task, claim, path)
    for one in settings.tolerations:
        kubernetes.add_toleration(task, one.key, one.operator, one.value, one.effect)
    for label, value in sorted(settings.node_selector.items()):
        kubernetes.add_node_selector(task, label, value)
