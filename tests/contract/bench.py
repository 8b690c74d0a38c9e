"""One recipe on a test bench: its tiny phases, step by step, on synthetic data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from components import stages
from components.cli.values import PARAMS, configure
from components.core.checkpoint.artifact import ModelArtifact
from components.core.config import read_params
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.engine.cache import FeatureCache
from components.core.engine.features import FrozenFeatures
from components.core.engine.job import Job
from components.core.engine.phase import Phase
from components.core.engine.run import PhaseRun
from components.core.engine.step import Stepper, StepResult
from components.core.engine.task import Batch, Examples, ViewKey
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.recipes.contract import Recipe, RecipeTask

PHASES = ("warmup", "partial_unfreeze", "end_to_end")


class FirstRows:
    """The first rows of a split; everything else is the recipe's own examples."""

    def __init__(self, examples: Examples, count: int) -> None:
        self._examples = examples
        self.ids = list(examples.ids)[:count]
        self.sources = list(examples.sources)[:count]
        self.digest = f"{examples.digest}, the first {count}"

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        return self._examples.load(rows, keys, fields)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._examples, name)


class FewExamples:
    """A task that trains and validates on the first rows of the train split."""

    def __init__(self, task: RecipeTask, count: int) -> None:
        self._task = task
        self._count = count

    def examples(self, dataset: object, split: str) -> FirstRows:
        return FirstRows(self._task.examples(dataset, "train"), self._count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


@dataclass(frozen=True)
class Bench:
    """A recipe at size tiny.

    Attributes:
        name: Of the recipe.
        folder: For whatever is written.
    """

    name: str
    values: dict[str, Any]
    recipe: Recipe
    task: RecipeTask
    dataset: Dataset
    folder: Path

    @staticmethod
    def of(name: str, folder: Path) -> "Bench":
        values = read_params(PARAMS / f"{name}.yaml", "tiny")
        recipe = configure(stages.load("warmup"), values, name).recipe  # type: ignore[attr-defined]
        prepare(recipe.data, None, Split(), QuarantineLimits(), folder / "dataset", recipe=name)
        dataset = Dataset.open(folder / "dataset")
        return Bench(name, values, recipe, recipe.build(dataset.card), dataset, folder)

    def phase(self, name: str, **changes: Any) -> Phase:
        """A stage's phase, or its first leg, as the params file has it, but for some values."""
        config: Any = configure(stages.load(name), self.values, self.name)
        phase: Phase = config.phases()[0]
        return Phase.model_validate({**phase.model_dump(), **changes})

    def job(self, name: str, phase: Phase, task: Any = None, start: ModelArtifact | None = None) -> Job:
        where = self.folder / "cache"
        runtime = Runtime(device="cpu", progress=False, workers=0, cache=Cache(dir=where))
        identity = Identity(name, "code", {}, {})
        return Job(
            task or self.task, phase, name, 0, runtime, self.dataset, start, identity, str(self.folder / "checkpoints")
        )

    def tracker(self, job: Job) -> Tracker:
        return Tracker(job.runtime, RunLabels(recipe=self.name, stage=job.name, seed=0))


@dataclass
class Trial:
    """A phase that is stepped through by hand.

    Attributes:
        cached: Are the frozen features read from the cache, or computed in every step?
    """

    bench: Bench
    name: str
    phase: Phase
    task: Any = None
    cached: bool = True
    run: PhaseRun = field(init=False)
    features: FrozenFeatures = field(init=False)
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        job = self.bench.job(self.name, self.phase, self.task)
        self.run = PhaseRun(job, self.bench.tracker(job))
        self.features = self.run.frozen("train", FeatureCache(job.runtime.cache) if self.cached else None)
        self.stepper = self.run.stepper(self.features)

    def steps(self, count: int) -> Iterator[StepResult]:
        """So many optimiser steps, epoch after epoch."""
        done = 0
        while done < count:
            for result in self.run.steps(self.stepper, self.features):
                yield result
                done += 1
                if done == count:
                    return
            self.run.next_epoch()

    def gradients(self) -> dict[str, torch.Tensor]:
        """Of the step just made, after clipping, by parameter."""
        named = self.run.model.named_parameters()
        return {name: p.grad.detach().clone() for name, p in named if p.grad is not None}
