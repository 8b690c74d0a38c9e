"""Where the stages of a study stand: each by what decides its result, so that runs share what is the same."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from components.core.config import Values
from components.core.digest import digest_values
from components.core.outputs import is_finished
from components.core.store import durable
from pipelines.local import Step, outputs_in
from pipelines.meter import Meter

COST = "cost.json"
LOCKS = ".locks"
DIGITS = 16


@dataclass(frozen=True)
class Cost:
    """What the outputs of a stage took.

    Attributes:
        seconds: Wall time, over the sessions that were not killed.
        peak_bytes: Greatest memory of any of them.
        sessions: How often work on it was begun.
        lost: A session was killed: it took longer than `seconds`.
        restart: Token of the restart that this work was begun for; empty for none.
    """

    seconds: float = 0.0
    peak_bytes: int = 0
    sessions: int = 0
    lost: bool = False
    restart: str = ""


def take(shelf: Path, step: Step, restart: str = "") -> tuple[Path, bool]:
    """Run a step, unless a run before has made the same; another process that is making it is waited for.

    Args:
        restart: Token of a restart, which every stage obeys once however many runs share it; empty for none.

    Returns:
        The folder of its outputs, and whether anything had to be done.
    """
    record = step.stage.record(step.config, step.inputs)
    digest = digest_values(record)[:DIGITS]
    folder = shelf / step.stage.name / digest
    with _alone(shelf / LOCKS / f"{step.stage.name}-{digest}"):
        before = read_cost(folder)
        again = bool(restart) and before.restart != restart
        outputs = step.stage.outputs(**outputs_in(folder, step.stage))
        if not again and is_finished(record, outputs):
            return folder, False
        before = Cost(restart=restart) if again else before
        step = replace(step, config=_at_home(step, digest, restart=again))
        with _counted(folder, before, Meter(step.config.runtime)):
            return folder, step.execute(folder)


def read_cost(folder: Path) -> Cost:
    """What a folder's outputs took so far."""
    file = folder / COST
    if not file.exists():
        return Cost()
    values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Cost(**values)


def _at_home(step: Step, digest: str, restart: bool) -> Any:
    """The values with a store of checkpoints for this digest alone: stages of one name must not share one."""
    runtime = step.config.runtime
    store = runtime.checkpoints.store
    own = None if store is None else f"{store.rstrip('/')}/{digest}"
    checkpoints = _with(runtime.checkpoints, store=own)
    return _with(step.config, runtime=_with(runtime, checkpoints=checkpoints, restart=restart))


def _with(values: Values, **changes: Any) -> Values:
    return values.model_copy(update=changes)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Nobody else works on the same stage meanwhile; the lock of a killed process is gone with it."""
    with durable.explained(lock.parent):
        lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


@contextmanager
def _counted(folder: Path, before: Cost, meter: Meter) -> Iterator[None]:
    """Keep account of the work inside; until it ends, the account says that something is missing."""
    now = replace(before, sessions=before.sessions + 1)
    _write(folder, replace(now, lost=True))
    try:
        with meter:
            yield
    finally:
        seconds, peak = round(before.seconds + meter.seconds, 3), max(before.peak_bytes, meter.peak_bytes)
        _write(folder, replace(now, seconds=seconds, peak_bytes=peak))


def _write(folder: Path, cost: Cost) -> None:
    with durable.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    durable.replace(folder / COST, (json.dumps(asdict(cost), indent=1, sort_keys=True) + "\n").encode())
