"""What the three training stages share: a phase with its files around it."""

import json
from pathlib import Path
from typing import Any

from components.core.checkpoint.artifact import ModelArtifact
from components.core.config import Values
from components.core.data.dataset import Dataset
from components.core.engine.phase import Phase
from components.core.engine.run import Job, Result, train
from components.core.engine.task import Task
from components.core.identity import Identity
from components.core.runtime import Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker


def run_phase(
    *,
    task: Task,
    recipe: Values,
    phase: Phase,
    seed: int,
    runtime: Runtime,
    identity: Identity,
    dataset: Path,
    start: Path | None,
    model: Path,
    metrics: Path,
) -> None:
    """Train a phase from files to files.

    Args:
        recipe: Recorded with the model.
        identity: Of the stage's run; its checkpoints belong to it alone.
        dataset: Folder made by `prepare`.
        start: Model folder of the phase before; None starts from the recipe's own weights.
        model: Model folder to write.
        metrics: JSON of the validation metrics to write.
    """
    opened = Dataset.open(dataset)
    artifact = ModelArtifact.load(start) if start is not None else None
    labels = RunLabels(recipe=recipe.name, stage=identity.stage, seed=seed)
    with Tracker(runtime, labels) as tracker:
        job = Job(
            task=task,
            phase=phase,
            name=identity.stage,
            seed=seed,
            runtime=runtime,
            dataset=opened,
            start=artifact,
            identity=identity,
            store=checkpoint_store(runtime, identity.stage, model.parent),
        )
        result = train(job, tracker)
    meta = _meta(result, recipe, seed, identity, opened, artifact)
    ModelArtifact.save(model, weights=result.weights, optimizer=result.optimizer, meta=meta)
    metrics.write_text(json.dumps(_metrics(result), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def checkpoint_store(runtime: Runtime, stage: str, beside: Path) -> str:
    """Where a stage's checkpoints are kept: below the configured store, or beside its output."""
    if runtime.checkpoints.store is not None:
        return f"{runtime.checkpoints.store.rstrip('/')}/{stage}"
    return str(beside / f"{stage}.checkpoints")


def _meta(
    result: Result, recipe: Values, seed: int, identity: Identity, dataset: Dataset, start: ModelArtifact | None
) -> dict[str, Any]:
    return {
        "recipe": recipe.model_dump(mode="json"),
        "phase": identity.stage,
        "seed": seed,
        "steps": result.steps,
        "summary": result.summary,
        "decision": result.decision,
        "history": result.history,
        "inexact": result.inexact,
        "environment": result.environment,
        "code": identity.code,
        "data": dataset.digest,
        "synthetic": bool(dataset.card["synthetic"]),
        "parent": start.digest if start is not None else None,
    }


def _metrics(result: Result) -> dict[str, Any]:
    return {"val": result.summary, "steps": result.steps, "decision": result.decision}
