"""TensorBoard logs that survive a resume: steps after the resumed one are purged."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoard:
    """Writes scalars; its library is imported with the first of them.

    Args:
        folder: Log folder of this run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None
        self._purge_step: int | None = None

    def resume(self, step: int) -> None:
        """Have TensorBoard forget what an interrupted run wrote after `step`."""
        self.close()
        self._purge_step = step + 1

    def scalars(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Write each value under `prefix/name`, or `name` without a prefix; what is not finite is left out."""
        writer = self._open()
        for name, value in values.items():
            if math.isfinite(value):
                writer.add_scalar(f"{prefix}/{name}" if prefix else name, value, step)

    def close(self) -> None:
        """Flush and close. May be called twice."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _open(self) -> "SummaryWriter":
        if self._writer is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=self._purge_step)
        return self._writer
