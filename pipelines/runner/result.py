"""What a run of a compiled graph on this machine came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Failure:
    """Why a run ended early.

    Attributes:
        task: The task that failed, as the graph names it.
        exit_code: Of its process; 0 for a step that claimed success without its outputs.
        reason: One sentence.
    """

    task: str
    exit_code: int
    reason: str


class StepFailed(Exception):
    """A task failed in a way that no retry mends."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.task}: {failure.reason}")
        self.failure = failure


@dataclass(frozen=True)
class RunResult:
    """Outcome of `run_ir`.

    Attributes:
        status: Did every task succeed?
        outputs: By task and port: the path of an artifact, or the value of a parameter. Tasks that succeeded;
            those inside a loop carry its name and number (`for-loop-1-iteration-0/step`).
        folder: Where the run's files lie.
        failure: What went wrong, if something did.
    """

    status: Literal["succeeded", "failed"]
    outputs: Mapping[str, Mapping[str, Path | Any]]
    folder: Path
    failure: Failure | None = None

    @property
    def exit_code(self) -> int:
        """What the launcher exits with: the failed step's own code, and 1 where it claimed success."""
        return 0 if self.failure is None else self.failure.exit_code or 1
