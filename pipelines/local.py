"""`thaw run`: every stage of a recipe in order, in this process, into one folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components import stages
from components.cli.values import configure
from components.core.digest import digest_path
from components.core.outputs import is_finished
from components.core.stage import Stage, StageConfig, execute
from components.core.store import durable
from pipelines.meter import Meter
from pipelines.wiring import NODES, Node

SUMMARY = "summary.json"


@dataclass(frozen=True)
class Run:
    """What to run, and where.

    Attributes:
        raw: The user's data; None takes the recipe's synthetic data.
        out: Folder of the run. Running again continues it, or does nothing.
    """

    recipe: str
    size: str
    values: Mapping[str, Any]
    source: str
    raw: Path | None
    out: Path


@dataclass(frozen=True)
class Step:
    """A stage of a run with everything it is given; where its outputs go is for the caller to say.

    Attributes:
        inputs: The stage's own inputs, without the output of a run before.
    """

    node: Node
    stage: Stage[Any, Any, Any]
    config: StageConfig
    inputs: Any

    def execute(self, folder: Path) -> bool:
        """Run the stage into a folder of its own. Returns False if there was nothing to do."""
        made = self.stage.outputs(**outputs_in(folder, self.stage))
        given = self.inputs
        for port, of in self.node.former.items():
            given = _with_former(self.stage, self.config, given, made, port, of)
        return execute(self.stage, self.config, given, made)


def run_all(run: Run, until: str = NODES[-1].stage) -> dict[str, Any]:
    """Run the stages that are not finished yet, and keep `summary.json` true after each.

    Args:
        until: Last stage to run.

    Returns:
        The summary.
    """
    with durable.explained(run.out):
        run.out.mkdir(parents=True, exist_ok=True)
    summary = read_summary(run)
    folders: dict[str, Path] = {}
    for node in active(run.values, until):
        step = step_of(run, node, folders)
        folders[node.stage] = run.out / node.stage
        with Meter(step.config.runtime) as meter:
            ran = step.execute(folders[node.stage])
        before = summary["stages"].get(node.stage, {})
        cost = meter.cost() if ran else {name: before[name] for name in meter.cost() if name in before}
        summary["stages"][node.stage] = {"seconds": 0.0, **cost, **describe(step.stage, folders[node.stage])}
        finish_summary(run, summary, folders["prepare"])
    return summary


def active(values: Mapping[str, Any], until: str) -> Iterator[Node]:
    """The nodes that these values switch on, producers first, up to one of them."""
    last = [node.stage for node in NODES].index(until)
    return (node for node in NODES[: last + 1] if node.is_on(values))


def step_of(run: Run, node: Node, folders: Mapping[str, Path]) -> Step:
    """A node with its values and inputs.

    Args:
        folders: Folder by stage of the producers that ran.

    Raises:
        BadInput: A value is not valid.
    """
    stage = stages.load(node.stage)
    config = configure(stage, dict(run.values), run.source)
    inputs = {}
    for port, source in node.inputs.items():
        producer, made = source.split(".")
        if producer in folders:
            inputs[port] = output_in(folders[producer], made)
    raw = {"raw": run.raw} if "raw" in node.parameters else {}
    return Step(node, stage, config, stage.inputs(**inputs, **raw))


def output(run: Run, stage: str, port: str) -> Path:
    """Where a run keeps an output: `out/<stage>/<port>`, with the ending that its kind has."""
    return output_in(run.out / stage, port)


def output_in(folder: Path, port: str) -> Path:
    """Where a stage that has this folder keeps an output."""
    return folder / f"{port}{ENDINGS.get(port, '')}"


def outputs_in(folder: Path, stage: Stage[Any, Any, Any]) -> dict[str, Path]:
    """Where a stage that has this folder keeps its outputs, by port."""
    return {port.name: output_in(folder, port.name) for port in stage.output_ports()}


ENDINGS = {"metrics": ".json", "report": ".html", "cases": ".csv", "classes": ".csv"}


def _with_former(
    stage: Stage[Any, Any, Any], config: StageConfig, inputs: Any, outputs: Any, port: str, of: str
) -> Any:
    """The inputs with an output of the run before, where there was one; it is kept beside those to be made.

    Kept only when the stage is about to run: a finished one stays finished, with what it was compared with then.
    """
    former: Path = getattr(outputs, of)
    kept = former.with_name(f"{port}{former.suffix}")
    if kept.exists():
        inputs = replace(inputs, **{port: kept})
    about_to_run = config.runtime.restart or not is_finished(stage.record(config, inputs), outputs)
    if not (former.exists() and about_to_run):
        return inputs
    durable.replace(kept, former.read_bytes())
    return replace(inputs, **{port: kept})


def describe(stage: Stage[Any, Any, Any], folder: Path) -> dict[str, Any]:
    """Metrics and digests of a finished stage."""
    found: dict[str, Any] = {}
    made = outputs_in(folder, stage)
    if "metrics" in made:
        found["metrics"] = json.loads(made["metrics"].read_text(encoding="utf-8"))
    found["digests"] = {name: digest_path(path) for name, path in made.items()}
    return found


def read_summary(run: Run) -> dict[str, Any]:
    """What is known of a run: nothing of its stages before its first one ends."""
    fresh = {"recipe": run.recipe, "size": run.size, "seed": run.values.get("seed", 0), "stages": {}}
    file = run.out / SUMMARY
    if not file.exists():
        return fresh
    before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {**fresh, "stages": before.get("stages", {})}


def finish_summary(run: Run, summary: dict[str, Any], prepared: Path) -> None:
    """Write `summary.json`.

    Args:
        prepared: Folder of the stage that prepared the data.
    """
    card = json.loads((output_in(prepared, "dataset") / "card.json").read_text(encoding="utf-8"))
    summary["synthetic"] = card["synthetic"]
    summary["data"] = summary["stages"]["prepare"]["digests"]["dataset"]
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    durable.replace(run.out / SUMMARY, text.encode())
