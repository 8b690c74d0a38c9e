"""How a graph's tasks run on this machine: what the runner asks of a way."""

from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from pipelines.runner.journal import Journal


class Way(Protocol):
    """Processes or containers."""

    def runner(self, root: Path) -> Any:
        """kfp's settings of the runner.

        Args:
            root: Folder of the run, absolute, which tasks read and write.

        Raises:
            BadInput: This machine cannot run tasks in this way.
        """

    def handler(self, journal: Journal) -> tuple[ModuleType, str, Any]:
        """Where kfp looks for the class that runs a task (module, name), and what stands there instead."""
