"""The three training phases of one run, as command lines over one folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PHASES = ("warmup", "partial_unfreeze", "end_to_end")


@dataclass(frozen=True)
class Phases:
    """Where a run is, and what is particular to it.

    Attributes:
        dataset: Folder made by `prepare`.
        folder: Where its outputs go.
        store: Where its checkpoints go; None keeps them beside the outputs.
        values: More `--set` options.
    """

    dataset: Path
    folder: Path
    store: str | None = None
    values: Sequence[str] = field(default_factory=tuple)

    def model(self, phase: str) -> Path:
        return self.folder / phase / "model"

    def checkpoints(self, phase: str) -> Path:
        """Where they are without a store."""
        return self.folder / phase / f"{phase}.checkpoints"

    def command(self, phase: str) -> list[str]:
        """One phase. Every optimiser step is saved: a kill may then fall between any two."""
        before = PHASES[PHASES.index(phase) - 1] if phase != PHASES[0] else None
        settings = {
            "checkpoints.every_steps": "1",
            "checkpoints.lease_seconds": "1",
            "cache.dir": str(self.folder / "cache"),
            "progress": "false",
            **({"checkpoints.store": self.store} if self.store else {}),
        }
        values = [*(f"runtime.{key}={value}" for key, value in settings.items()), *self.values]
        return [
            phase, "freqmedclip", "--dataset", str(self.dataset),
            *(["--weights", str(self.model(before))] if before else []),
            "--model", str(self.model(phase)), "--metrics", str(self.folder / phase / "metrics.json"),
            *(word for value in values for word in ("--set", value)),
        ]  # fmt: skip

    def commands(self) -> list[list[str]]:
        """All of them, in order."""
        return [self.command(phase) for phase in PHASES]
