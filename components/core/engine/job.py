"""What a phase is given, and what it hands on."""

from dataclasses import dataclass, field, replace

from torch import Tensor

from components.core.checkpoint.artifact import ModelArtifact
from components.core.data.dataset import Dataset
from components.core.engine.phase import Phase
from components.core.engine.task import Task
from components.core.identity import Identity
from components.core.runtime import Runtime


@dataclass(frozen=True)
class Job:
    """What to train, on what, from where.

    Attributes:
        phase: What trains first, or alone.
        then: Further legs of the same stage, each from where the one before ended.
        start: The previous phase's model; None starts from `task.build_model(seed)`.
        identity: What an unfinished run must match to be continued.
        store: Folder or `s3://` prefix for this phase's checkpoints.
        recipe: Name shown to people.
        judged: What the samples that validations look at are called.
    """

    task: Task
    phase: Phase
    name: str
    seed: int
    runtime: Runtime
    dataset: Dataset
    start: ModelArtifact | None
    identity: Identity
    store: str
    recipe: str = ""
    judged: str = "val"
    then: tuple[Phase, ...] = ()

    @property
    def legs(self) -> int:
        """Phases in all."""
        return 1 + len(self.then)

    def leg(self, number: int) -> "Job":
        """The same work from one of its legs on."""
        phase, *then = (self.phase, *self.then)[number:]
        return replace(self, phase=phase, then=tuple(then))


@dataclass(frozen=True)
class Result:
    """A finished phase, all its legs included.

    Attributes:
        weights: All weights that are handed on, by name, on the CPU.
        optimizer: Optimiser state, where the hand-over keeps it.
        history: One row per epoch.
        summary: Validation metrics of the weights that are handed on.
        averages: Updates of the weight average, where the hand-over keeps the optimiser's state; else 0.
        inexact: Why the result may differ from an uninterrupted run's last digits; normally empty.
        before: Metrics of the weights that the phase began with, where it validates them.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] | None
    history: list[dict[str, float]]
    summary: dict[str, float]
    decision: dict[str, str]
    steps: int
    averages: int
    inexact: list[str]
    environment: dict[str, str]
    before: dict[str, float] = field(default_factory=dict)
