"""Peak memory of a piece of work: the device's where torch counts it, else this process's."""

import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What the kernel takes for "start counting the peak anew" (proc(5))."""


def start(device: torch.device) -> None:
    """Forget the peak so far, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif RESET.exists():
        try:
            RESET.write_text(RESET_PEAK, encoding="ascii")
        except OSError:  # not allowed in every container: the peak is then the process's own
            return


def read(device: torch.device) -> int:
    """Greatest number of bytes in use since `start`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
