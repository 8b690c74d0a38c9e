"""Carry out a study's runs: one after the other, or several side by side in processes of their own."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from components.core.errors import BadInput, Temporary, ThawError
from components.core.store import durable
from pipelines.local import SUMMARY, active, describe, finish_summary, read_summary, step_of
from pipelines.study.plan import StudyRun
from pipelines.study.shelf import read_cost, take

log = logging.getLogger(__name__)

RUN = "run.json"
PATIENCE = 60.0
"""Seconds that a run which is told to stop has for its last checkpoint."""

Finished = Callable[[StudyRun, Mapping[str, Any]], None]
"""Told of every run that ends, in the order of their ends."""


def make_run(one: StudyRun, restart: str = "") -> dict[str, Any]:
    """Run the stages of one variant with one seed that no run has made yet.

    Args:
        restart: Token of a restart; empty for none.

    Returns:
        Its summary, which `summary.json` holds too: as that of `thaw run`, with the folder and the whole cost of
        every stage, whichever run paid for it.
    """
    with durable.explained(one.run.out):
        one.run.out.mkdir(parents=True, exist_ok=True)
    summary = read_summary(one.run)
    folders: dict[str, Path] = {}
    for node in active(one.run.values, one.until):
        step = step_of(one.run, node, folders)
        folder, _ = take(one.shelf, step, restart)
        folders[node.stage] = folder
        place = Path(os.path.relpath(folder, one.run.out)).as_posix()
        cost = {name: value for name, value in asdict(read_cost(folder)).items() if name != "restart"}
        summary["stages"][node.stage] = {"folder": place, **cost, **describe(step.stage, folder)}
        finish_summary(one.run, summary, folders["prepare"])
    return summary


def carry_out(runs: Sequence[StudyRun], workers: int, restart: str, finished: Finished) -> None:
    """Make every run that is not made yet.

    Args:
        workers: Runs side by side; 1 makes them in this process.
        restart: Token of a restart; empty for none.
        finished: Called in this process.

    Raises:
        ThawError: A run failed. Those beside it are stopped at their next step, and continue when the study does.
    """
    clock = _Clock(len(runs), workers)
    if workers == 1:
        for one in runs:
            began = time.monotonic()
            summary = make_run(one, restart)
            clock.tell(one, time.monotonic() - began)
            finished(one, summary)
        return
    _Workers(runs, workers, restart, clock, finished).work()


class _Clock:
    """Says how far the study is and how long the rest may take, as if the rest were like what was done."""

    def __init__(self, runs: int, workers: int) -> None:
        self._runs, self._workers = runs, workers
        self._seconds: dict[str, float] = {}
        self._done = 0

    def tell(self, one: StudyRun, seconds: float) -> None:
        self._done += 1
        self._seconds[one.variant] = seconds
        left = self._runs - self._done
        about = left * sum(self._seconds.values()) / len(self._seconds) / self._workers
        rest = f"; about {duration(about)} left" if left else ""
        log.info("run %d of %d (%s) took %s%s", self._done, self._runs, one.name, duration(seconds), rest)


def duration(seconds: float) -> str:
    """Words for a time: `40 s`, `12 min`, `3 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class _Workers:
    """Runs side by side, each in a process that ends with it: its memory is its own, and none outlives a failure."""

    def __init__(self, runs: Sequence[StudyRun], workers: int, restart: str, clock: _Clock, finished: Finished) -> None:
        self._runs, self._count, self._restart, self._clock, self._finished = runs, workers, restart, clock, finished
        self._living: set[subprocess.Popen[bytes]] = set()
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def work(self) -> None:
        """Make all runs, or stop all of them at the first failure."""
        signal.signal(signal.SIGTERM, _interrupt)  # or this process would end and leave the others behind
        with ThreadPoolExecutor(self._count) as pool:
            pending = {pool.submit(self._one, one): one for one in self._runs}
            try:
                self._collect(pending)
            except BaseException:
                self._stop()
                for future in pending:
                    future.cancel()
                raise

    def _collect(self, pending: dict[Future[float], StudyRun]) -> None:
        waiting = set(pending)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: self._runs.index(pending[future])):
                seconds = future.result()
                self._clock.tell(pending[future], seconds)
                self._finished(pending[future], _written(pending[future]))

    def _one(self, one: StudyRun) -> float:
        began = time.monotonic()
        file = one.run.out / RUN
        with durable.explained(one.run.out):
            one.run.out.mkdir(parents=True, exist_ok=True)
        durable.replace(file, json.dumps(one.dump(), indent=1, sort_keys=True).encode())
        with self._lock:
            if self._stopped.is_set():
                raise Temporary("stopped", where=one.name, remedy="run the same command again")
            process = subprocess.Popen(_command(file, self._restart), env=_environment())  # noqa: S603
            self._living.add(process)
        code = process.wait()
        with self._lock:
            self._living.discard(process)
        if code:
            raise _failure(one, code)
        return time.monotonic() - began

    def _stop(self) -> None:
        """Tell the living to save and end; those that do not are killed, and resume from their last checkpoint."""
        with self._lock:
            self._stopped.set()
            living = list(self._living)
        for process in living:
            process.terminate()
        until = time.monotonic() + PATIENCE
        for process in living:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def _written(one: StudyRun) -> dict[str, Any]:
    """The summary that a worker left."""
    summary: dict[str, Any] = json.loads((one.run.out / SUMMARY).read_text(encoding="utf-8"))
    return summary


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Temporary("stopped by SIGTERM", where="thaw study", remedy="run the same command again to continue")


def _command(file: Path, restart: str) -> list[str]:
    return [sys.executable, "-m", "pipelines.study.worker", str(file), restart]


def _environment() -> dict[str, str]:
    """This process's environment, in which a child finds the same code."""
    code = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH", "")]))}


def _failure(one: StudyRun, code: int) -> ThawError:
    kind = {error.exit_code: error for error in (BadInput, Temporary)}.get(code, ThawError)
    return kind(
        f"the run {one.name} failed ({code}); its reason stands above",
        where=str(one.run.out),
        remedy="mend it and run the same command again: what is finished stays finished",
    )
