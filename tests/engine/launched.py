"""Two processes as torchrun would start them, without its agent: each child's exit code and output are its own."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.doors.frozen import ROOT

PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def variables(rank: int, size: int, port: int, machines: int = 1) -> dict[str, str]:
    """What torchrun sets for one process; of several machines, each of which has the same number of them."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank % (size // machines)),
        "LOCAL_WORLD_SIZE": str(size // machines),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    log: str


class Launched:
    """The processes of one launch, under way.

    Args:
        command: What each of them runs.
        folder: Where they run and their logs are.
        environment: Variables beside those of the launch.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, size: int = 2, environment: Mapping[str, str] | None = None
    ) -> None:
        port = free_port()
        base = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._logs = [Path(tempfile.mkstemp(f".rank{rank}.log", dir=folder)[1]) for rank in range(size)]
        self.processes = []
        for rank, log in enumerate(self._logs):
            with log.open("w") as stream:
                given = {**base, **variables(rank, size, port)}
                child = subprocess.Popen(command, cwd=folder, env=given, stdout=stream, stderr=subprocess.STDOUT)
            self.processes.append(child)

    def end(self) -> list[Ended]:
        """Wait for all of them."""
        try:
            codes = [process.wait(PATIENCE) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [Ended(code, log.read_text()) for code, log in zip(codes, self._logs, strict=True)]


def launched(module: str, *arguments: str, folder: Path, size: int = 2) -> list[Ended]:
    """Run a Python module as so many processes of one launch, to their end."""
    return Launched([sys.executable, "-m", module, *arguments], folder, size).end()
