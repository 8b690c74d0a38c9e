"""What the three training stages share: a phase with its files around it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta, require_trained_on
from components.core.data.card import Card
from components.core.data.dataset import Dataset
from components.core.engine.fitting import fitted
from components.core.engine.job import Job, Result
from components.core.engine.legs import train
from components.core.engine.phase import Phase
from components.core.engine.ranks import here
from components.core.engine.task import Task
from components.core.identity import Identity
from components.core.launch import place
from components.core.runtime import Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker

FOREIGN = "foreign_encoder"
"""Noted of a model whose encoder may have seen pictures that this dataset tests on."""


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
        foreign: Take an encoder that was trained on another dataset, which may hold this one's test pictures.
    """

    dataset: Path
    start: Path | None
    model: Path
    metrics: Path
    foreign: bool = False


@dataclass(frozen=True)
class Subject:
    """What is trained, and which of its tensors are handed on.

    Attributes:
        recipe: Name of the recipe.
        values: Plain values that are recorded with the model.
        task: The engine's task on a dataset.
        part: Root of the names of the tensors that are handed on, as an encoder and without it; empty hands on all
            of them, as a model.
        judged: What the samples that validations look at are called.
    """

    recipe: str
    values: Mapping[str, Any]
    task: Callable[[Dataset], Task]
    part: str = ""
    judged: str = "val"

    def handed_on(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that are, by the names they have then."""
        root = f"{self.part}." if self.part else ""
        return {name.removeprefix(root): value for name, value in weights.items() if name.startswith(root)}


def run_phases(
    recipe: RecipeValues,
    phases: Sequence[Phase],
    seed: int,
    runtime: Runtime,
    identity: Identity,
    files: PhaseFiles,
) -> None:
    """Train a stage of a recipe's model from files to files.

    Args:
        recipe: Builds the task, and is recorded with the model.
        phases: What trains, one after the other: one, or the legs of a strategy.
        identity: Of the stage's run; its checkpoints belong to it alone.
        files: What to read and write.

    Raises:
        BadInput: The model to start from was trained on another dataset: it may know this one's test split.
    """
    values = recipe.model_dump(mode="json")
    subject = Subject(recipe.name, values, lambda dataset: recipe.build(dataset.card))
    run_subject(subject, phases, seed, runtime, identity, files)


def run_subject(
    subject: Subject,
    phases: Sequence[Phase],
    seed: int,
    runtime: Runtime,
    identity: Identity,
    files: PhaseFiles,
) -> None:
    """Train a stage of something from files to files.

    Args:
        subject: What trains.
        phases: One after the other, at least one.
        identity: Of the stage's run; its checkpoints belong to it alone.
        files: What to read and write; of the processes of a launch the first one alone writes.

    Raises:
        BadInput: The model to start from was trained on another dataset: it may know this one's test split.
    """
    dataset = Dataset.open(files.dataset)
    start = _start(files.start, dataset, files.foreign)
    labels = RunLabels(recipe=subject.recipe, stage=identity.stage, seed=seed, fold=fold_of(dataset))
    history = files.model.parent / f"{identity.stage}.history.jsonl"
    first = place().first
    with Tracker(runtime, labels, history) if first else Tracker.silent(labels) as tracker:
        job = Job(
            task=subject.task(dataset),
            phase=phases[0],
            then=tuple(phases[1:]),
            name=identity.stage,
            seed=seed,
            runtime=runtime,
            dataset=dataset,
            start=start,
            identity=identity,
            store=checkpoint_store(runtime, identity.stage, files.model.parent),
            recipe=subject.recipe,
            judged=subject.judged,
        )
        result = train(job, tracker)
        with here().failing_together():
            result = replace(result, decision={**result.decision, **fitted(job.leg(-1), result, tracker.heartbeat)})
        tracker.final(result.summary)
    if not first:
        return  # the first process of the launch has the same result, and writes it
    ModelArtifact.save(files.model, subject.handed_on(result.weights), result.optimizer, _meta(job, subject, result))
    before = {"before": result.before} if phases[0].validate_first else {}
    write_metrics(files.metrics, {**before, "val": result.summary, "steps": result.steps, "decision": result.decision})


def write_metrics(file: Path, values: Mapping[str, Any]) -> None:
    """Write a training stage's metrics."""
    file.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _start(folder: Path | None, dataset: Dataset, foreign: bool) -> ModelArtifact | None:
    """The model to start from; None for the recipe's own weights, which an encoder without weights stands for too."""
    if folder is None:
        return None
    start = ModelArtifact.load(folder)
    if not (foreign and start.meta.scope == "encoder"):
        require_trained_on(start.meta, dataset.digest, folder)
    return None if start.meta.scope == "encoder" and not start.weights else start


def _meta(job: Job, subject: Subject, result: Result) -> ModelMeta:
    """What is known of the finished model."""
    return ModelMeta(
        recipe=subject.values,
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
            **({FOREIGN: True} if _is_foreign(job) else {}),
        },
        scope="encoder" if subject.part else "model",
    )


def _is_foreign(job: Job) -> bool:
    """Did the encoder, in this phase or before, come from another dataset?"""
    start = job.start
    if start is None:
        return False
    return bool(start.meta.extra.get(FOREIGN)) or start.meta.data_digest not in ("", job.dataset.digest)


def checkpoint_store(runtime: Runtime, stage: str, beside: Path) -> str:
    """Where a stage's checkpoints are kept: below the configured store, or beside its output."""
    if runtime.checkpoints.store is not None:
        return f"{runtime.checkpoints.store.rstrip('/')}/{stage}"
    return str(beside / f"{stage}.checkpoints")


def fold_of(dataset: Dataset) -> str:
    """The fold that a dataset tests, for labels; empty without folds."""
    split = dataset.card.settings.get("split", {})
    return str(split.get("fold", "")) if split.get("folds") else ""
