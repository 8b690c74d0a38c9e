"""Progress of a phase: a bar on a terminal, a plain line every few seconds in a log."""

import logging
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 10.0
"""Pause between lines where nobody watches a bar."""

log = logging.getLogger(__name__)


class PhaseProgress:
    """Shows how far one phase is, how fast it goes and how long it will take.

    Args:
        phase: Name shown before the bar.
        total: Steps of the phase.
        done: Steps done before (by the run that this one resumes).
        console: Where the bar goes, if it is a terminal.
        clock: Seconds from any origin; replaced in tests.
    """

    def __init__(
        self, phase: str, total: int, done: int, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._phase, self._total, self._start = phase, total, done
        self._clock, self._samples = clock, 0
        self._began = self._last_line = clock()
        self._bar: Progress | None = _bar(console) if console.is_terminal else None
        self._task: TaskID | None = None
        if self._bar is not None:
            self._task = self._bar.add_task(phase, total=total, completed=done, rate="", loss="")
            self._bar.start()

    def step(self, step: int, samples: int, loss: float) -> None:
        """Show that `step` steps are done; `samples` were in the last one."""
        self._samples += samples
        elapsed = max(self._clock() - self._began, 1e-9)
        rate = self._samples / elapsed
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, rate=f"{rate:.1f} samples/s", loss=f"loss {loss:.4f}")
            return
        if self._clock() - self._last_line >= LINE_SECONDS:
            self._last_line = self._clock()
            log.info("%s", self._line(step, loss, rate, elapsed))

    def close(self) -> None:
        """Leave the bar as it is and stop drawing. May be called twice."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None

    def _line(self, step: int, loss: float, rate: float, elapsed: float) -> str:
        done = max(step - self._start, 1)
        remaining = elapsed / done * max(self._total - step, 0)
        progress = f"{self._phase}: step {step}/{self._total}, loss {loss:.4f}, {rate:.1f} samples/s"
        return f"{progress}, {show_duration(remaining)} left"


def show_duration(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=4,
    )
