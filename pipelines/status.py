"""What a folder of `thaw run` holds: read from records and manifests, without torch and without a lease."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAVY
from rich.table import Table
from rich.text import Text

from components import stages
from components.core.checkpoint.failures import failed
from components.core.checkpoint.latest import read_latest
from components.core.checkpoint.manifest import Damaged, Manifest, names, read_manifest
from components.core.errors import BadInput
from components.core.outputs import is_published
from components.core.store import Store, open_store
from pipelines.local import ENDINGS, SUMMARY
from pipelines.wiring import NODES


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint of a training stage.

    Attributes:
        step: Optimiser steps done.
        epoch: Epochs finished.
        best: Best value of the monitor so far; None before the first validation.
        best_epoch: The epoch that reached it, counted from 1.
        created: When it was committed.
    """

    step: int
    epoch: int
    best: float | None
    best_epoch: int | None
    created: datetime


@dataclass(frozen=True)
class StageStatus:
    """Where one stage stands.

    Attributes:
        state: finished, failed, unfinished (it has begun) or not begun.
        newest: Its newest checkpoint, where it trains.
        seconds: Wall time it took, where known.
        remark: Why it failed, or that a checkpoint is damaged.
    """

    stage: str
    state: str
    newest: Newest | None = None
    seconds: float | None = None
    remark: str = ""


def read_status(folder: Path, store: str | None = None) -> list[StageStatus]:
    """Where every stage of a run stands; one that a recipe may switch off is told once it has begun.

    Args:
        folder: `--out` of the run.
        store: `--store` of the run, if it had one.

    Raises:
        BadInput: The folder holds no run.
    """
    begun = [node.stage for node in NODES if (folder / node.stage).is_dir()]
    if not begun:
        raise BadInput("the folder holds no run", where=str(folder), remedy="give the --out of `thaw run`")
    seconds = _seconds(folder)
    shown = [node.stage for node in NODES if not node.switch or node.stage in begun]  # others may well be off
    return [_stage(folder, name, store, seconds.get(name)) for name in shown]


def _stage(folder: Path, name: str, store: str | None, seconds: float | None) -> StageStatus:
    checkpoints = open_store(f"{store.rstrip('/')}/{name}" if store else folder / name / f"{name}.checkpoints")
    newest, remark = _newest(checkpoints)
    if is_published(_outputs(folder, name)):
        return StageStatus(name, "finished", newest, seconds, remark)
    failure = failed(checkpoints)
    if failure is not None:
        return StageStatus(name, "failed", newest, None, failure.reason)
    begun = newest is not None or bool(remark) or (folder / name).is_dir()
    return StageStatus(name, "unfinished" if begun else "not begun", newest, None, remark)


def _outputs(folder: Path, name: str) -> Any:
    stage = stages.load(name)
    ports = [port.name for port in stage.output_ports()]
    return stage.outputs(**{port: folder / name / f"{port}{ENDINGS.get(port, '')}" for port in ports})


def _newest(store: Store) -> tuple[Newest | None, str]:
    """The newest checkpoint whose manifest is whole (its tensors are not read), and what is wrong with later ones."""
    pointed = read_latest(store).name
    older = [name for name in reversed(names(store)) if name != pointed]
    remark = ""
    for name in [pointed, *older] if pointed else older:
        try:
            return _progress(read_manifest(store, name)), remark
        except Damaged as error:
            remark = f"checkpoint {name} cannot be used: {error.what}"
    return None, remark


def _progress(manifest: Manifest) -> Newest:
    progress: Mapping[str, Any] = manifest.meta["progress"]
    best = progress["best"]
    return Newest(
        step=manifest.step,
        epoch=progress["epoch"],
        best=best["value"] if best else None,
        best_epoch=best["epoch"] + 1 if best else None,
        created=datetime.fromisoformat(manifest.created),
    )


def _seconds(folder: Path) -> dict[str, float]:
    file = folder / SUMMARY
    if not file.exists():
        return {}
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return {name: float(stage["seconds"]) for name, stage in found.get("stages", {}).items()}


def status_table(folder: Path, found: list[StageStatus]) -> Table:
    """One row per stage: newest checkpoint's step, its epochs, the best value and the epoch that reached it."""
    table = Table(title=Text(str(folder)), title_justify="left", box=SIMPLE_HEAVY, pad_edge=False)
    for name in ("stage", "state", "step", "epochs", "best", "saved", "time"):
        table.add_column(name, justify="left" if name in ("stage", "state") else "right", no_wrap=True)
    for one in found:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f} s"
        table.add_row(one.stage, Text(one.state), *_cells(one.newest), seconds)
    return table


def _cells(newest: Newest | None) -> Iterator[str]:
    if newest is None:
        yield from ("", "", "", "")
        return
    yield str(newest.step)
    yield str(newest.epoch)
    yield "" if newest.best is None else f"{newest.best:.4f} in {newest.best_epoch}"
    yield newest.created.astimezone().strftime("%m-%d %H:%M")
