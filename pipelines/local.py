"""`thaw run`: every stage of a recipe in order, in this process, into one folder."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components import stages
from components.cli.values import configure
from components.core.digest import digest_path
from components.core.stage import Stage, StageConfig, execute, is_finished
from components.core.store import durable
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


def run_all(run: Run, until: str = NODES[-1].stage) -> dict[str, Any]:
    """Run the stages that are not finished yet, and keep `summary.json` true after each.

    Args:
        until: Last stage to run.

    Returns:
        The summary.
    """
    with durable.explained(run.out):
        run.out.mkdir(parents=True, exist_ok=True)
    summary = _read_summary(run)
    last = [node.stage for node in NODES].index(until)
    for node in NODES[: last + 1]:
        if not node.is_on(run.values):
            continue
        began = time.monotonic()
        ran = _run_stage(run, node)
        before = summary["stages"].get(node.stage, {})
        seconds = time.monotonic() - began if ran else before.get("seconds", 0.0)
        summary["stages"][node.stage] = {"seconds": round(seconds, 3), **_describe(run, node.stage)}
        _finish_summary(run, summary)
    return summary


def output(run: Run, stage: str, port: str) -> Path:
    """Where a run keeps an output: `out/<stage>/<port>`, with the ending that its kind has."""
    return run.out / stage / f"{port}{ENDINGS.get(port, '')}"


ENDINGS = {"metrics": ".json", "report": ".html", "cases": ".csv"}


def _run_stage(run: Run, node: Node) -> bool:
    stage = stages.load(node.stage)
    config = configure(stage, dict(run.values), run.source)
    on = {other.stage for other in NODES if other.is_on(run.values)}
    edges = {port: source.split(".") for port, source in node.inputs.items()}
    inputs = {port: output(run, *edge) for port, edge in edges.items() if edge[0] in on}
    raw = {"raw": run.raw} if "raw" in node.parameters else {}
    outputs = {port.name: output(run, node.stage, port.name) for port in stage.output_ports()}
    given, made = stage.inputs(**inputs, **raw), stage.outputs(**outputs)
    for port, of in node.former.items():
        given = _with_former(stage, config, given, made, port, of)
    return execute(stage, config, given, made)


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


def _describe(run: Run, stage: str) -> dict[str, Any]:
    """Metrics and digests of a finished stage."""
    found: dict[str, Any] = {}
    metrics = output(run, stage, "metrics")
    if metrics.exists():
        found["metrics"] = json.loads(metrics.read_text(encoding="utf-8"))
    for port in stages.load(stage).output_ports():
        found.setdefault("digests", {})[port.name] = digest_path(output(run, stage, port.name))
    return found


def _read_summary(run: Run) -> dict[str, Any]:
    fresh = {"recipe": run.recipe, "size": run.size, "seed": run.values.get("seed", 0), "stages": {}}
    file = run.out / SUMMARY
    if not file.exists():
        return fresh
    before: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {**fresh, "stages": before.get("stages", {})}


def _finish_summary(run: Run, summary: dict[str, Any]) -> None:
    prepared = output(run, "prepare", "dataset")
    card = json.loads((prepared / "card.json").read_text(encoding="utf-8"))
    summary["synthetic"] = card["synthetic"]
    summary["data"] = summary["stages"]["prepare"]["digests"]["dataset"]
    text = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    durable.replace(run.out / SUMMARY, text.encode())
