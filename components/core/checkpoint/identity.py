"""Which process is this, and does another one still live?"""

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from components.core.errors import BadInput

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process, told apart from every other one that ever ran here.

    Attributes:
        host: Host name (in a pod, the pod's).
        boot: The kernel's boot id; empty where the system has none to read (macOS).
        namespace: The namespace that `pid` is a number in: containers of one host name may have several.
        pid: Process id.
        started: Start time in kernel ticks since boot; 0 where unknown.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def as_values(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_values(cls, values: Any) -> "Process":
        """Raises BadInput where the values do not describe a process."""
        fields = {"host": str, "boot": str, "namespace": str, "pid": int, "started": int}
        if not isinstance(values, dict) or any(not isinstance(values.get(key), kind) for key, kind in fields.items()):
            raise BadInput("not the description of a process", remedy="remove the lease if no run is alive")
        return cls(**{key: values[key] for key in fields})


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    return Process(socket.gethostname(), _boot(), _namespace(), pid, _started(pid) or 0)


def fate(other: Process) -> Literal["alive", "dead", "unknown"]:
    """What has become of a process: known only on the same boot of the same host in the same namespace."""
    here = this_process()
    same = (other.host, other.boot, other.namespace) == (here.host, here.boot, here.namespace)
    if not same or not here.boot or not here.started:
        return "unknown"
    return "alive" if _started(other.pid) == other.started else "dead"


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Start time, or None if there is no such process (a zombie is none: it writes nothing any more)."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything, spaces and brackets included
    return None if fields[0] in "ZX" else int(fields[19])
