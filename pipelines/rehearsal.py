"""What `thaw doctor` and `thaw benchmark` have in common: phases made ready on a few synthetic samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components import stages
from components.cli.values import configure
from components.core.contrastive.training import encoder_subject
from components.core.contrastive.values import Pretrain
from components.core.data.dataset import Dataset
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.engine.job import Job
from components.core.engine.phase import Phase
from components.core.engine.run import PhaseRun
from components.core.engine.task import Task
from components.core.engine.training import Subject
from components.core.errors import BadInput
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime
from components.core.stage import StageConfig
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.model_stage import TrainingStageConfig
from components.recipes.contract import Recipe, RecipeTask

FIRST = "warmup"
"""A stage that has a recipe."""

PAIR = 2
"""Fewest pictures of which one can be told from another."""

QUIET = {"progress": False, "metrics_port": 0, "pushgateway": None, "tensorboard": None}


@dataclass(frozen=True)
class Rehearsal:
    """A recipe whose phases can be stepped through without stages, checkpoints and pretrained weights.

    Attributes:
        recipe: With random weights where pretrained ones are not on this machine.
        missing: Those weights, one line each.
        phases: By stage, in order; the legs of a stage that has several are `partial_unfreeze.1` and so on.
        dataset: The recipe's synthetic data.
        runtime: The configured one, silent, with a cache folder of its own.
        cache: The configured cache folder, which nothing here touches.
        subjects: What trains in phases that do not train the recipe's task itself.
        pairs: The dataset for those, where `dataset` may be too small for them.
    """

    recipe: Recipe
    task: RecipeTask
    missing: Sequence[str]
    phases: Mapping[str, Phase]
    dataset: Dataset
    seed: int
    runtime: Runtime
    cache: Path
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    pairs: Dataset | None = None

    def few(self, cases: int) -> "Rehearsal":
        """The same with the first cases of every split alone.

        Raises:
            BadInput: Fewer than one case.
        """
        if cases < 1:
            raise BadInput("at least one case is needed", where=f"{cases} cases", remedy="ask for one or more")
        return replace(self, dataset=self.dataset.first(cases), pairs=self.dataset.first(max(cases, PAIR)))

    def run(self, name: str, phase: Phase) -> PhaseRun:
        """A phase at its first step, on a model of its own."""
        job = Job(
            task=self.task_of(name),
            phase=phase,
            name=name,
            seed=self.seed,
            runtime=self.runtime,
            dataset=self._dataset_of(name),
            start=None,
            identity=Identity(stage=name, code="", config={}, inputs={}),
            store="",
        )
        return PhaseRun(job, Tracker(self.runtime, RunLabels(recipe=self.recipe.name, stage=name, seed=self.seed)))

    def task_of(self, name: str) -> Task:
        """What a phase trains."""
        return self.subjects[name].task(self._dataset_of(name)) if name in self.subjects else self.task

    def samples_of(self, name: str) -> int:
        """Samples that a phase trains on."""
        return len(self.task_of(name).examples(self._dataset_of(name), "train").ids)

    def _dataset_of(self, name: str) -> Dataset:
        return self.pairs if name in self.subjects and self.pairs is not None else self.dataset

    @property
    def samples(self) -> int:
        """Samples of the train split."""
        return len(self.task.examples(self.dataset, "train").ids)


def rehearse(values: Mapping[str, Any], source: str, folder: Path, *, untrained: bool) -> Rehearsal:
    """Draw the recipe's synthetic data and make its phases ready.

    Args:
        values: Plain values of all stages.
        source: Where they come from, for error messages.
        folder: Empty; holds the data and the cache.
        untrained: Take random weights even where pretrained ones are on this machine.

    Raises:
        BadInput: The values are not valid.
    """
    configs = {name: configure(stages.load(name), dict(values), source) for name in stages.NAMES}
    phases = {part: phase for name, config in configs.items() for part, phase in _phases(name, config).items()}
    trained: Recipe = vars(configs[FIRST])["recipe"]
    missing = trained.missing_weights()
    recipe = trained.untrained() if missing or untrained else trained
    runtime = configs[FIRST].runtime
    cache = Cache(dir=folder / "cache", max_gb=runtime.cache.max_gb, dtype=runtime.cache.dtype)
    dataset = _synthetic(recipe, folder / "dataset")
    seed = int(values.get("seed", 0))
    sections = {name: vars(config).get(name) for name, config in configs.items() if name in phases}
    without_labels = {name: section for name, section in sections.items() if isinstance(section, Pretrain)}
    return Rehearsal(
        recipe=recipe,
        task=recipe.build(dataset.card),
        missing=missing,
        phases=phases,
        dataset=dataset,
        seed=seed,
        runtime=runtime.model_copy(update={**QUIET, "cache": cache}),
        cache=runtime.cache.dir,
        subjects={name: encoder_subject(recipe, section, seed) for name, section in without_labels.items()},
    )


def _phases(name: str, config: StageConfig) -> dict[str, Phase]:
    """What a stage trains, by its name, or by `name.1`, `name.2`, ... where a strategy makes several legs of it."""
    section = getattr(config, name, None)
    found = [section.phase()] if isinstance(section, Pretrain) else []
    if isinstance(config, TrainingStageConfig):
        found = config.phases()
    legs = [phase for phase in found if phase.epochs]
    return {name if len(legs) == 1 else f"{name}.{number}": leg for number, leg in enumerate(legs, start=1)}


def _synthetic(recipe: Recipe, folder: Path) -> Dataset:
    from components.core.data.prepare import prepare

    prepare(recipe.data, None, Split(), QuarantineLimits(), folder, recipe=recipe.name)
    return Dataset.open(folder)


def shorten(phase: Phase, *, batch_size: int, epochs: int = 1) -> Phase:
    """The same phase on few samples: one window per batch, in plain fp32 unless it says otherwise."""
    return phase.model_copy(update={"batch_size": batch_size, "accumulate": 1, "epochs": epochs})


def choose(phases: Mapping[str, Phase], wanted: Sequence[str]) -> dict[str, Phase]:
    """Phases by name, in the order asked for.

    Raises:
        BadInput: The recipe has no such phase.
    """
    unknown = [name for name in wanted if name not in phases]
    if unknown:
        raise BadInput(f"no phase {unknown[0]!r}", where="--phases", remedy=f"choose from {', '.join(phases)}")
    return {name: phases[name] for name in wanted}
