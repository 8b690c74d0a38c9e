"""GPU drivers that are none: NVML's calls as `Gpus` makes them."""

import ctypes

GIB = 2**30


class FakeDriver:
    """Answers like NVML on a machine with two GPUs, the second of which is lost."""

    used = 5 * GIB

    def nvmlDeviceGetCount_v2(self, count: object) -> int:
        count._obj.value = 2  # type: ignore[attr-defined]
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: ctypes.c_uint, handle: object) -> int:
        return 0 if index.value == 0 else 15

    def nvmlDeviceGetMemoryInfo(self, handle: object, memory: object) -> int:
        memory._obj.used, memory._obj.total = self.used, 80 * GIB  # type: ignore[attr-defined]
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: object, load: object) -> int:
        load._obj.gpu = 40  # type: ignore[attr-defined]
        return 0
