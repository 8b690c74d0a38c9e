"""What a stage costs: seconds and peak memory, while it runs."""

import gc
import time
from types import TracebackType
from typing import TYPE_CHECKING

from components.core.runtime import Runtime

if TYPE_CHECKING:
    import torch


class Meter:
    """Measures the work inside it; use it as a context manager.

    Attributes:
        seconds: Wall time, from entry to exit.
        peak_bytes: Greatest memory in use: the device's where it is a GPU, else the whole process's, so that what
            the process held before counts too.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.seconds = 0.0
        self.peak_bytes = 0

    def __enter__(self) -> "Meter":
        from pipelines import peak

        gc.collect()  # a model of the stage before must not count here
        peak.start(self._device())
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from pipelines import peak

        self.seconds = time.monotonic() - self._began
        self.peak_bytes = peak.read(self._device())

    def cost(self) -> dict[str, float | int]:
        """Both, as summaries hold them."""
        return {"seconds": round(self.seconds, 3), "peak_bytes": self.peak_bytes}

    def _device(self) -> "torch.device":
        import torch

        on_gpu = self._runtime.device in ("auto", "cuda") and torch.cuda.is_available()
        return torch.device("cuda" if on_gpu else "cpu")
