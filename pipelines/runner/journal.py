"""What happens during one run, written down where kfp's orchestrator keeps silent."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import Temporary
from pipelines.runner.result import Failure, StepFailed


class Journal:
    """Folders, exit codes and outputs of one run's tasks.

    kfp may run iterations of a loop in threads; a task's steps (folder, process, outputs) share one thread.

    Args:
        base: Folder of the run: a task's name is its folder's, seen from there.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.outputs: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, Failure] = {}
        self._taken: set[str] = set()
        self._lock = threading.Lock()
        self._here = threading.local()

    def open(self, folder: str) -> str:
        """Give the next task of this thread its folder.

        kfp names a folder after the component, so that two tasks of one component would write over each
        other: the second one gets `-2`. A task that is tried again keeps its folder and finds its checkpoints.
        """
        with self._lock:
            free, number = folder, 1
            while free in self._taken:
                number += 1
                free = f"{folder}-{number}"
            self._taken.add(free)
        self._here.folder = free
        (Path(free) / "executor_output.json").unlink(missing_ok=True)
        return free

    @property
    def task(self) -> str:
        """Name of this thread's task."""
        return Path(self._here.folder).relative_to(self.base).as_posix()

    def exited(self, code: int) -> None:
        """Record a process's end.

        Raises:
            StepFailed: The code says that a retry cannot help, whatever the graph's retry policy is.
        """
        if code == 0:
            return
        failure = Failure(self.task, code, _meaning(code))
        with self._lock:
            self.failures[self.task] = failure
            self._taken.discard(self._here.folder)
        if code != Temporary.exit_code:
            raise StepFailed(failure)

    def lied(self, reason: str) -> StepFailed:
        """Record a process that exited 0 without having done its work."""
        failure = Failure(self.task, 0, f"exited 0 but {reason}")
        with self._lock:
            self.failures[self.task] = failure
        return StepFailed(failure)

    def finished(self, outputs: Mapping[str, Any]) -> None:
        """Record a task's verified outputs."""
        with self._lock:
            self.outputs[self.task] = dict(outputs)
            self.failures.pop(self.task, None)


def _meaning(code: int) -> str:
    if code < 0:
        return f"ended by signal {-code}"
    known = {2: "bad input or configuration", Temporary.exit_code: "a temporary failure that retries did not mend"}
    return f"exit code {code}: {known.get(code, 'see its output above')}"
