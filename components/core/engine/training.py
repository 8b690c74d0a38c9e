"""What the three training stages share: a phase with its files around it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta, require_trained_on
from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.engine.job import Job, Result
from components.core.engine.phase import Phase
from components.core.engine.run import train
from components.core.engine.task import Task
from components.core.identity import Identity
from components.core.runtime import Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker


class RecipeValues(Protocol):
    """A recipe, as far as training records it."""

    @property
    def name(self) -> str:
        """Tag in the union of recipes."""

    def build(self, card: Card) -> Task:
        """The task to train on the dataset that a card describes."""

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]:
        """Its plain values."""


@dataclass(frozen=True)
class PhaseFiles:
    """Where a phase's files are.

    Attributes:
        dataset: Folder made by `prepare`.
        start: Model folder of the phase before; None starts from the recipe's own weights.
        model: Model folder to write.
        metrics: JSON of the validation metrics to write.
    """

    dataset: Path
    start: Path | None
    model: Path
    metrics: Path


def run_phase(
    recipe: RecipeValues, phase: Phase, seed: int, runtime: Runtime, identity: Identity, files: PhaseFiles
) -> None:
    """Train a phase from files to files.

    Args:
        recipe: Builds the task, and is recorded with the model.
        identity: Of the stage's run; its checkpoints belong to it alone.
        files: What to read and write.

    Raises:
        BadInput: The model to start from was trained on another dataset: it may know this one's test split.
    """
    dataset = Dataset.open(files.dataset)
    start = _start(files.start, dataset)
    labels = RunLabels(recipe=recipe.name, stage=identity.stage, seed=seed, fold=fold_of(dataset))
    history = files.model.parent / f"{identity.stage}.history.jsonl"
    with Tracker(runtime, labels, history) as tracker:
        job = Job(
            task=recipe.build(dataset.card),
            phase=phase,
            name=identity.stage,
            seed=seed,
            runtime=runtime,
            dataset=dataset,
            start=start,
            identity=identity,
            store=checkpoint_store(runtime, identity.stage, files.model.parent),
            recipe=recipe.name,
        )
        result = train(job, tracker)
        tracker.final(result.summary)
    meta = _meta(job, recipe, result)
    ModelArtifact.save(files.model, result.weights, result.optimizer, meta)
    values = {"val": result.summary, "steps": result.steps, "decision": result.decision}
    files.metrics.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _start(folder: Path | None, dataset: Dataset) -> ModelArtifact | None:
    """The model to start from; None for the recipe's own weights, which an encoder without weights stands for too."""
    if folder is None:
        return None
    start = ModelArtifact.load(folder)
    require_trained_on(start.meta, dataset.digest, folder)
    return None if start.meta.scope == "encoder" and not start.weights else start


def _meta(job: Job, recipe: RecipeValues, result: Result) -> ModelMeta:
    """What is known of the finished model."""
    return ModelMeta(
        recipe=recipe.model_dump(mode="json"),
        phase=job.name,
        step=result.steps,
        metrics=result.summary,
        history=result.history,
        decision=result.decision,
        data_digest=job.dataset.digest,
        parent_digest=job.start.digest if job.start is not None else None,
        environment=result.environment,
        extra={
            "seed": job.seed,
            "code": job.identity.code,
            "inexact": result.inexact,
            "averages": result.averages,
            "synthetic": job.dataset.card.synthetic,
        },
    )


def checkpoint_store(runtime: Runtime, stage: str, beside: Path) -> str:
    """Where a stage's checkpoints are kept: below the configured store, or beside its output."""
    if runtime.checkpoints.store is not None:
        return f"{runtime.checkpoints.store.rstrip('/')}/{stage}"
    return str(beside / f"{stage}.checkpoints")


def fold_of(dataset: Dataset) -> str:
    """The fold that a dataset tests, for labels; empty without folds."""
    split = dataset.card.settings.get("split", {})
    return str(split.get("fold", "")) if split.get("folds") else ""
