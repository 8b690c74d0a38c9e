"""What `thaw pipeline compile | run` does: write a recipe's graph, and run it on this machine. Free of torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.core.component import IMAGES
from components.core.digest import digest_path
from components.core.errors import BadInput
from pipelines.graph import COMPONENTS, build, compile_graph
from pipelines.plan import Plan, make_plan
from pipelines.runner.local import run_ir
from pipelines.runner.result import RunResult
from pipelines.runner.way import Way

BRANCH = re.compile(r"for-loop-\d+-iteration-(\d+)")
"""How kfp's local orchestrator calls a branch of a loop."""


def compile_command(recipe: str, params: Mapping[str, Any], images: Mapping[str, str], output: Path) -> Path:
    """Compile a recipe's graph for a cluster.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        images: Image reference by `cpu` and `gpu`.
        output: IR YAML file to write.

    Returns:
        The file written.

    Raises:
        BadInput: The params do not fit the graph.
    """
    return compile_graph(build(make_plan(recipe, params), images), output)


def run_command(
    recipe: str,
    params: Mapping[str, Any],
    raw: Path | None,
    root: Path,
    way: Way | None = None,
    images: Mapping[str, str] = IMAGES,
) -> RunResult:
    """Compile a recipe's graph and run it on this machine.

    Args:
        recipe: Name of the recipe.
        params: Its resolved params.
        raw: The user's data; None takes the recipe's synthetic data.
        root: Folder of the run. The compiled graph is `root/<recipe>.yaml`; running again resumes.
        way: How tasks run; None runs them as processes.
        images: Image reference by `cpu` and `gpu`, for containers.

    Returns:
        The outcome, with tasks under their stages' names; in a cross-validation below `fold-0/seed-1/`.

    Raises:
        BadInput: The raw data does not exist, tasks cannot run in this way, or the params do not fit the graph.
        Temporary: Another run is using `root`.
    """
    arguments = {} if raw is None else raw_arguments(raw)
    plan = _one_at_a_time(make_plan(recipe, params))
    ir = compile_graph(build(plan, images), root / f"{recipe}.yaml")
    return _by_stage(run_ir(ir, arguments, root, way), plan)


def _one_at_a_time(plan: Plan) -> Plan:
    """Members of a cross-validation share this machine: one after the other, where the params set no bound."""
    bound = plan.settings.parallelism or 1
    return replace(plan, settings=plan.settings.model_copy(update={"parallelism": bound}))


def raw_arguments(raw: Path) -> dict[str, str]:
    """The graph's parameters for raw data of this machine. Raises BadInput."""
    if not raw.exists():
        raise BadInput("the raw data does not exist", where=str(raw), remedy="correct --raw")
    return {"raw": str(raw.resolve()), "raw_digest": digest_path(raw)}


def _by_stage(result: RunResult, plan: Plan) -> RunResult:
    """kfp's task names (`end-to-end`) back to the stages' (`end_to_end`), those of branches back to folds and seeds."""
    failure = result.failure
    if failure is not None:
        failure = replace(failure, task=_stage_of(failure.task, plan))
    made = {_stage_of(task, plan): ports for task, ports in result.outputs.items() if ports}
    return replace(result, outputs={name: made[name] for name in sorted(made, key=_order(plan))}, failure=failure)


def _stage_of(task: str, plan: Plan) -> str:
    *branches, name = task.split("/")
    stages = {component.name: stage for stage, component in COMPONENTS.items()}
    loops = [(kind, items) for kind, items in (("fold", plan.folds), ("seed", plan.seeds)) if items]
    parts = []
    for branch, (kind, items) in zip(branches, loops, strict=False):
        found = BRANCH.fullmatch(branch)
        parts.append(f"{kind}-{items[int(found[1])].partition('/')[0]}" if found else branch)
    return "/".join([*parts, stages.get(name, name)])


def _order(plan: Plan) -> Callable[[str], tuple[int, str]]:
    """Stages in their order; within one, branches by name."""
    stages = [task.stage for task in plan.tasks]
    return lambda name: (stages.index(name.rpartition("/")[2]), name)
