"""GPU memory and load straight from the driver's library (NVML), read when somebody looks.

Source: NVIDIA Management Library API reference; the calls used have kept their layout since 2011.
"""

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from components.core.tracking.registry import BY_NAME

LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


@dataclass(frozen=True)
class GpuReading:
    """One GPU, now.

    Attributes:
        index: Number of the device in the driver's order.
        used: Bytes in use by all processes.
        total: Bytes of memory.
        utilization: Share of the driver's last sample period with work on the device, 0 to 1.
    """

    index: int
    used: int
    total: int
    utilization: float


class Gpus:
    """The machine's GPUs; empty where there is no NVIDIA driver."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    @classmethod
    def open(cls, name: str = LIBRARY) -> "Gpus | None":
        """Load and start the driver's library; None where the machine has none."""
        try:
            library = ctypes.CDLL(name)
        except OSError:
            return None
        return cls(library) if library.nvmlInit_v2() == 0 else None

    def read(self) -> Iterator[GpuReading]:
        """Read every GPU; one that does not answer is left out (its series ends, which alerts can see)."""
        count = ctypes.c_uint(0)
        if self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return
        for index in range(count.value):
            handle = ctypes.c_void_p()
            memory, load = _Memory(), _Utilization()
            answers = (
                self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle))
                or self._library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
                or self._library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(load))
            )
            if answers == 0:
                yield GpuReading(index, memory.used, memory.total, load.gpu / 100)


class GpuCollector(Collector):
    """The GPU metrics of the registry, read at every scrape, so that a stalled run still shows an idle device."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the GPUs and yield one family per metric."""
        readings = list(self._gpus.read())
        yield _family("thaw_gpu_memory_used_bytes", {reading.index: reading.used for reading in readings})
        yield _family("thaw_gpu_memory_total_bytes", {reading.index: reading.total for reading in readings})
        yield _family("thaw_gpu_utilization_ratio", {reading.index: reading.utilization for reading in readings})


def _family(name: str, values: Mapping[int, float]) -> GaugeMetricFamily:
    metric = BY_NAME[name]
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for index, value in values.items():
        family.add_metric([str(index)], value)
    return family
