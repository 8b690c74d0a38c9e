"""Device, precision and determinism, on top of accelerate."""

import os
import platform
from contextlib import AbstractContextManager, suppress
from functools import cache
from importlib import metadata
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from components.core.engine.ranks import here
from components.core.engine.task import Batch
from components.core.errors import BadInput
from components.core.launch import place
from components.core.runtime import Runtime

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "torchvision",
    "timm",
    "open_clip_torch",
    "segment-anything",
    "accelerate",
)
"""What decodes, augments and evaluates samples, by the names of distributions."""

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}


class Device:
    """Where and in which precision a phase computes.

    Attributes:
        precision: fp32, bf16 or fp16; `auto` has been resolved (fp32 on CPU and MPS, bf16 on GPUs that have it).
        ranks: The processes that compute together, each on a device of its own.
    """

    def __init__(self, runtime: Runtime, precision: str = "auto") -> None:
        make_deterministic(runtime.threads)
        kind = _choose(runtime.device)
        self.ranks = here()  # they meet once, before accelerate looks for them: its states come and go
        self.precision = _resolve(precision, kind)
        if AcceleratorState._shared_state:  # a phase may follow another in one process, in another precision
            AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(mixed_precision=PRECISION[self.precision], cpu=kind == "cpu")
        self.device = self.accelerator.device

    def autocast(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self.accelerator.autocast()
        return context

    def place(self, model: nn.Module) -> nn.Module:
        return model.to(self.device)

    def move(self, batch: Batch) -> Batch:
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def prepare(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimiser as it steps in this precision (fp16 skips steps whose gradients overflowed)."""
        prepared: torch.optim.Optimizer = self.accelerator.prepare_optimizer(optimizer)
        return prepared

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """Loss scaler of fp16, else None."""
        scaler: torch.amp.GradScaler | None = self.accelerator.scaler
        return scaler

    def backward(self, loss: Tensor) -> None:
        """Backward pass, scaled where the precision needs it."""
        self.accelerator.backward(loss)

    def clip(self, parameters: list[nn.Parameter], limit: float) -> float:
        """Unscale, then clip the gradients' global norm. Returns the norm before clipping."""
        norm = self.accelerator.clip_grad_norm_(parameters, limit)
        return float(norm) if norm is not None else 0.0

    def fingerprint(self) -> dict[str, str]:
        """What must be equal for a resumed run to be bit-identical."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.machine()
        return {
            "device": f"{self.device.type}: {name}",
            "precision": self.precision,
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
            "world_size": str(self.accelerator.num_processes),
            **versions(),
        }


@cache
def versions() -> dict[str, str]:
    """Versions of what computes beside torch: Python, and the installed ones of PACKAGES by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def make_deterministic(threads: int) -> None:
    """Deterministic kernels; `threads` intra-op threads where above 0."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs a tenth of every step
    torch.backends.cudnn.benchmark = False
    if threads:
        torch.set_num_threads(threads)


def _choose(wanted: str) -> str:
    launch = place()
    mps = torch.backends.mps.is_available() and launch.size == 1  # its tensors cannot be summed over processes
    available = {"cuda": torch.cuda.is_available(), "mps": mps, "cpu": True}
    if wanted != "cpu" and available["cuda"] and launch.local_size > torch.cuda.device_count():
        raise BadInput(
            f"{launch.local_size} processes were launched on this machine for {torch.cuda.device_count()} CUDA devices",
            where="torchrun --nproc-per-node",
            remedy="launch one process for each device",
        )
    if wanted == "auto":
        return next(kind for kind, present in available.items() if present)
    if not available[wanted]:
        raise BadInput(
            f"no {wanted} device on this machine",
            where=f"runtime.device = {wanted!r}",
            remedy="use runtime.device: auto, or run where there is one",
        )
    return wanted


def _resolve(precision: str, kind: str) -> str:
    if precision != "auto":
        if precision == "fp16" and kind != "cuda":
            raise BadInput("fp16 needs a CUDA device", where="precision = 'fp16'", remedy="use fp32 or bf16 here")
        return precision
    return "bf16" if kind == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
