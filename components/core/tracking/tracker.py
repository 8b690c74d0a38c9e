"""What the engine talks to: one object that tells metrics, history, TensorBoard, progress and log the same thing."""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType

from rich.console import Console
from rich.table import Table

from components.core.errors import ThawError
from components.core.runtime import Runtime
from components.core.tracking.endpoint import Endpoint
from components.core.tracking.gpu import GpuCollector, Gpus
from components.core.tracking.history import History
from components.core.tracking.logs import console, redact, secrets_of
from components.core.tracking.overview import RunPlan, RunResult, plan_table, result_table
from components.core.tracking.progress import PhaseProgress
from components.core.tracking.push import Outcome, RunLabels, push_outcome
from components.core.tracking.registry import BY_NAME, Metrics
from components.core.tracking.tensorboard import TensorBoard

NOTHING: Mapping[str, float] = MappingProxyType({})
STORE = "store"
"""The operation whose retries are counted from the start."""

PLAIN_WIDTH = 100
"""Columns of a table in a log file."""

log = logging.getLogger(__name__)


class Tracker:
    """Reports one stage while it runs; use it as a context manager around the work.

    On entry it serves metrics (`runtime.metrics_port`), on exit it prints the closing table and pushes the outcome
    (`runtime.pushgateway`). Nothing it does changes a result.

    Args:
        runtime: Where and how much to report.
        labels: What the run is of.
        history: File of the run's history; None keeps none. Keep it beside the checkpoints: a resume cuts it back.
    """

    def __init__(self, runtime: Runtime, labels: RunLabels, history: Path | None = None) -> None:
        self.metrics = Metrics()
        self._silent = False
        self._runtime, self._labels = runtime, labels
        self._history = History(history) if history else None
        folder = runtime.tensorboard
        self._board = TensorBoard(folder / labels.recipe / labels.stage / _run_name(labels)) if folder else None
        self._endpoint: Endpoint | None = None
        self._progress: PhaseProgress | None = None
        self._validated: dict[str, float] = {}
        self._final: dict[str, float] = {}
        self._steps = self._samples = self._checkpoints = self._hits = self._misses = 0
        self._nonfinite = 0
        self._wait_seconds, self._began = 0.0, time.monotonic()
        self._epoch_samples, self._epoch_seconds = 0, 0.0

    @classmethod
    def silent(cls, labels: RunLabels) -> "Tracker":
        """One that tells nobody: of the other processes of a launch, whose first one tells what all of them do."""
        tracker = cls(Runtime(progress=False), labels)
        tracker._silent = True
        return tracker

    def __enter__(self) -> "Tracker":
        self._began = time.monotonic()
        self._endpoint = Endpoint(self.metrics.registry, self._runtime.metrics_port, self._runtime.metrics_address)
        if self._endpoint.port and self._runtime.device != "cpu" and (gpus := Gpus.open()):
            self.metrics.attach(GpuCollector(gpus))
        self.metrics.set("thaw_stage_info", 1, **self._labels.info())
        self.metrics.add("thaw_retries_total", 0, operation=STORE)  # a rise is seen from 0 on, not from the first one
        self.heartbeat()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.monotonic() - self._began
        with ExitStack() as closing:
            for part in (self._endpoint, self._board, self._history, self._progress):
                if part is not None:
                    closing.callback(part.close)
        self._show(result_table(self._result(seconds, error)))
        if self._runtime.pushgateway:
            outcome = Outcome(_exit_code(error), seconds, self._final or self._validated, self._nonfinite)
            push_outcome(self._runtime.pushgateway, self._labels, outcome)

    @property
    def port(self) -> int:
        """Port of the scrape endpoint; 0 when metrics are not served."""
        return self._endpoint.port if self._endpoint else 0

    def plan(self, plan: RunPlan) -> None:
        """Show the opening table."""
        self._show(plan_table(plan))

    def begin(self, phase: str, planned_steps: int, done_steps: int = 0) -> None:
        """Start the progress of a phase of `planned_steps`, of which `done_steps` were done before."""
        if self._progress is not None:
            self._progress.close()
        screen = console() if self._runtime.progress else Console(stderr=True, force_terminal=False)
        self._progress = PhaseProgress(phase, planned_steps, done_steps, screen)
        self.metrics.set("thaw_planned_steps", planned_steps, phase=phase)
        self.metrics.set("thaw_current_step", done_steps, phase=phase)
        self.metrics.set("thaw_phase_start_timestamp_seconds", time.time(), phase=phase)
        self.heartbeat()

    def step(
        self,
        phase: str,
        step: int,
        samples: int,
        losses: Mapping[str, float],
        rates: Mapping[str, float],
        seconds: float,
        wait_seconds: float,
        *,
        scalars: Mapping[str, float] = NOTHING,
    ) -> None:
        """Report one optimiser step.

        Args:
            phase: Name of the phase.
            step: Steps done in the phase, this one included.
            samples: Samples in the effective batch.
            losses: Weighted terms, averaged over the samples; the loss is their sum.
            rates: Learning rate by parameter group.
            seconds: Duration of the step, waiting included.
            wait_seconds: Part of it spent waiting for data.
            scalars: Values the objective logs beside its losses. One that has a metric of its own
                (`thaw_<name>` with the label phase) goes there, the others to `thaw_scalar`.
        """
        self._steps, self._samples = self._steps + 1, self._samples + samples
        self._wait_seconds += wait_seconds
        self._epoch_samples, self._epoch_seconds = self._epoch_samples + samples, self._epoch_seconds + seconds
        self._measure_step(phase, step, samples, seconds, wait_seconds)
        for term, value in losses.items():
            self.metrics.set("thaw_loss", value, phase=phase, term=term)
        for group, value in rates.items():
            self.metrics.set("thaw_learning_rate", value, phase=phase, group=group)
        for name, value in scalars.items():
            self._scalar(phase, name, value)
        if self._history is not None:
            row = {"kind": "step", "phase": phase, "step": step, "samples": samples, "losses": losses, "rates": rates}
            self._history.append({**row, "scalars": scalars, "seconds": seconds, "wait_seconds": wait_seconds})
        if self._board is not None:
            self._board.scalars(f"{phase}/loss", losses, step)
            self._board.scalars(f"{phase}/rate", rates, step)
            self._board.scalars(f"{phase}/scalar", scalars, step)
            self._board.scalars(f"{phase}/time", {"step_seconds": seconds, "wait_seconds": wait_seconds}, step)
        if self._progress is not None:
            self._progress.step(step, samples, sum(losses.values()))

    def validation(self, phase: str, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Report an epoch's end: metrics of the whole split after `step` steps, at the end of `epoch` (from 0).

        TensorBoard has them under their own names, `train/loss`, `train/lr`, `val/f1_macro`; those of a phase beside
        the stage's own (a yardstick in training) below the phase's.
        The pace of the epoch's steps goes to TensorBoard and the log; queries have it from `thaw_samples_total`.
        """
        self._validated = dict(metrics)
        pace = self._epoch_samples / self._epoch_seconds if self._epoch_seconds > 0 else 0.0
        self._epoch_samples, self._epoch_seconds = 0, 0.0
        self.metrics.set("thaw_epoch", epoch, phase=phase)
        for name, value in metrics.items():
            self.metrics.set("thaw_validation_metric", value, phase=phase, metric=name)
        if self._history is not None:
            self._history.append(
                {"kind": "validation", "phase": phase, "epoch": epoch, "step": step, "metrics": metrics}
            )
        if self._board is not None:
            self._board.scalars("" if phase == self._labels.stage else phase, metrics, step)
            self._board.scalars(f"{phase}/time", {"samples_per_second": pace}, step)
        log.info("%s: epoch %d, step %d, %.1f samples/s: %s", phase, epoch, step, pace, _listed(metrics))
        self.heartbeat()

    def checkpoint_saved(self, seconds: float, size: int) -> None:
        """Report a committed checkpoint of `size` bytes. Any thread may call it."""
        self._checkpoints += 1
        self.metrics.observe("thaw_checkpoint_seconds", seconds)
        self.metrics.set("thaw_checkpoint_bytes", size)
        self.metrics.set("thaw_checkpoint_last_success_timestamp_seconds", time.time())

    def resumed(self, step: int) -> None:
        """Report that the run goes on from `step`: later rows of the history and of TensorBoard are dropped."""
        self.metrics.add("thaw_resumes_total")
        self.metrics.set("thaw_resume_timestamp_seconds", time.time(), **self._labels.group())
        if self._history is not None:
            self._history.resume(step)
        if self._board is not None:
            self._board.resume(step)
        log.info("resumed after step %d", step)

    def retried(self, operation: str, times: int = 1) -> None:
        """Report repeated attempts, for example of requests to the store."""
        self.metrics.add("thaw_retries_total", times, operation=operation)

    def quarantined(self, count: int) -> None:
        """Report how many samples are set aside as unusable so far."""
        self.metrics.set("thaw_quarantined_samples", count)
        self.heartbeat()

    def cache(self, hits: int, misses: int) -> None:
        """Report frozen features read from the cache and computed."""
        self._hits, self._misses = self._hits + hits, self._misses + misses
        self.metrics.add("thaw_cache_hits_total", hits)
        self.metrics.add("thaw_cache_misses_total", misses)
        self.heartbeat()

    def nonfinite(self) -> None:
        """Report a loss or gradient that was not finite."""
        self._nonfinite += 1
        self.metrics.add("thaw_nonfinite_total")

    def heartbeat(self) -> None:
        """Report that work goes on, where no step can (filling a cache, validating)."""
        self.metrics.set("thaw_heartbeat_timestamp_seconds", time.time(), **self._labels.group())

    def message(self, text: str) -> None:
        """Tell the reader one line."""
        log.info("%s", text)

    def final(self, metrics: Mapping[str, float]) -> None:
        """Set the metrics that the outcome is pushed with; without it, those of the last validation."""
        self._final = dict(metrics)

    def _measure_step(self, phase: str, step: int, samples: int, seconds: float, wait_seconds: float) -> None:
        self.metrics.add("thaw_steps_total", phase=phase)
        self.metrics.add("thaw_samples_total", samples, phase=phase)
        self.metrics.set("thaw_current_step", step, phase=phase)
        self.metrics.observe("thaw_step_seconds", seconds, phase=phase)
        self.metrics.observe("thaw_data_wait_seconds", wait_seconds, phase=phase)
        self.heartbeat()

    def _scalar(self, phase: str, name: str, value: float) -> None:
        own = BY_NAME.get(f"thaw_{name}")
        if own is not None and own.kind == "gauge" and own.labels == ("phase",):
            self.metrics.set(own.name, value, phase=phase)
        else:
            self.metrics.set("thaw_scalar", value, phase=phase, name=name)

    def _result(self, seconds: float, error: BaseException | None) -> RunResult:
        return RunResult(
            stage=f"{self._labels.recipe} · {self._labels.stage}",
            ended="finished" if error is None else _ending(error),
            seconds=seconds,
            steps=self._steps,
            samples=self._samples,
            wait_seconds=self._wait_seconds,
            cache_hits=self._hits,
            cache_misses=self._misses,
            checkpoints=self._checkpoints,
            metrics=self._final or self._validated,
        )

    def _show(self, table: Table) -> None:
        """Print a table on the terminal, or as one log message where there is none."""
        if self._silent:
            return
        if console().is_terminal:
            console().print(table)
            return
        plain = Console(width=PLAIN_WIDTH, force_terminal=False, color_system=None)
        with plain.capture() as captured:
            plain.print(table)
        log.info("\n%s", captured.get().rstrip())


def _run_name(labels: RunLabels) -> str:
    return f"seed-{labels.seed}" + (f"-fold-{labels.fold}" if labels.fold else "")


def _ending(error: BaseException) -> str:
    """How it ended, without secrets: here, before the table breaks one over two lines, where no formatter finds it."""
    return redact(f"stopped: {str(error) or type(error).__name__}", secrets_of(os.environ))


def _exit_code(error: BaseException | None) -> int:
    if error is None:
        return 0
    return error.exit_code if isinstance(error, ThawError) else 1


def _listed(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
