"""Processes that can be killed by the dozen: each is forked from one that has imported everything already."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a process that should have ended or begun is given up."""

TICK = 0.002

SERVER = '''
"""Reads orders, a JSON line each, and forks for each a watcher, which forks the process that is watched."""
import json, os, signal, sys
from pathlib import Path

import components.core.engine.training
import components.recipes.freqmedclip.task
from pipelines.cli import main

def tell(path, text):
    Path(path + ".partial").write_text(text)
    os.replace(path + ".partial", path)

def work(order):
    os.environ.update(order["environment"])
    log = os.open(order["folder"] + "/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for command in order["commands"]:
        code = main(command)
        if code:
            break
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def watch(order):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        try:
            work(order)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(1)
    tell(order["folder"] + "/pid", str(pid))
    tell(order["folder"] + "/code", str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    os._exit(0)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork() == 0:
        watch(json.loads(line))
'''


@dataclass(frozen=True)
class Forked:
    """A process under way, or ended."""

    folder: Path
    pid: int

    @property
    def code(self) -> int | None:
        """Its exit code, below 0 the signal that ended it; None while it runs."""
        file = self.folder / "code"
        return int(file.read_text()) if file.exists() else None

    @property
    def log(self) -> str:
        """What it wrote to both its outputs."""
        file = self.folder / "log"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def ends_within(self, seconds: float) -> bool:
        """Wait at most so long for its end."""
        until = time.monotonic() + seconds
        while self.code is None:
            if time.monotonic() > until:
                return False
            time.sleep(TICK)
        return True

    def end(self) -> int:
        """Wait for its end, and return its exit code."""
        assert self.ends_within(PATIENCE), self.log
        code = self.code
        assert code is not None
        return code

    def kill(self) -> bool:
        """kill -9. False if it had ended by itself just before."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.end() == -signal.SIGKILL

    def stop_when(self, path: Path, pattern: str, count: int = 1) -> None:
        """Let it run until so many files match below a folder, then hold it where it is (SIGSTOP)."""
        until = time.monotonic() + PATIENCE
        while len(list(path.glob(pattern))) < count:
            assert self.code is None and time.monotonic() < until, self.log
            time.sleep(TICK)
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class ForkServer:
    """Starts `thaw` command lines, several one after another in one process.

    Args:
        project: Copy of the project whose code runs.
        folder: Where the processes run, and where their logs are.
    """

    def __init__(self, project: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._number = 0
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, cwd=folder, env=dict(environment), text=True
        )

    def start(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str] | None = None) -> Forked:
        """Run command lines, each only if the one before it ended with 0."""
        self._number += 1
        folder = self._folder / f"process{self._number:03d}"
        folder.mkdir()
        order = {"folder": str(folder), "commands": commands, "environment": dict(environment or {})}
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        until = time.monotonic() + PATIENCE
        while not (folder / "pid").exists():
            assert time.monotonic() < until and self._server.poll() is None, "the fork server does not answer"
            time.sleep(TICK)
        return Forked(folder, int((folder / "pid").read_text()))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait()
