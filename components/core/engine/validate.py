"""Measuring a model on the identity views of a split, in row order."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from components.core.checkpoint.codec import decode_tensors, encode_tensors
from components.core.engine.device import Device
from components.core.engine.ema import WeightAverage
from components.core.engine.features import FrozenFeatures, silent
from components.core.engine.loader import Draw, load_ahead
from components.core.engine.ranks import Ranks
from components.core.engine.shares import share
from components.core.engine.task import Batch, Examples, Features, Task


def in_order(
    examples: Examples,
    features: FrozenFeatures,
    fields: frozenset[str],
    batch_size: int,
    workers: int,
    device: Device,
    rows: Sequence[int] | None = None,
) -> Iterator[tuple[Batch, Features]]:
    """Every sample once, as it is: (batch, features) on the device.

    Args:
        rows: The samples; None takes all of them.
    """
    rows = range(len(examples.ids)) if rows is None else rows
    draws = (
        Draw(rows[i : i + batch_size], [()] * len(rows[i : i + batch_size])) for i in range(0, len(rows), batch_size)
    )
    for draw, batch in load_ahead(examples, draws, fields | features.fields, workers):
        yield device.move(batch), features.of(batch, [0] * len(draw.rows))


@torch.no_grad()
def measure(
    *,
    task: Task,
    model: nn.Module,
    examples: Examples,
    features: FrozenFeatures,
    losses: Mapping[str, float],
    batch_size: int,
    workers: int,
    device: Device,
    heartbeat: Callable[[], None] = silent,
) -> dict[str, Tensor]:
    """What the task measures of a split, in row order.

    Args:
        model: In eval mode.
        device: Its processes share the batches; each gets the measurements of the whole split.
    """
    collected: dict[str, list[Tensor]] = {}
    with device.autocast():
        rows = _own_rows(len(examples.ids), batch_size, device.ranks)
        for batch, found in in_order(examples, features, task.fields(losses), batch_size, workers, device, rows):
            for name, value in task.measure(model, batch, found, losses).items():
                collected.setdefault(name, []).append(value.float().cpu())
            heartbeat()
    return _of_all({name: torch.cat(values) for name, values in collected.items()}, device.ranks)


@torch.no_grad()
def validate(
    *,
    task: Task,
    model: nn.Module,
    average: WeightAverage | None,
    examples: Examples,
    features: FrozenFeatures,
    losses: Mapping[str, float],
    batch_size: int,
    workers: int,
    device: Device,
    heartbeat: Callable[[], None] = silent,
) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics of a split and the choices they make, with averaged weights where there are some.

    Args:
        heartbeat: Called after every batch.
        device: Its processes share the batches; each gets the metrics of the whole split.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with average.applied() if average else nullcontext():
        measured = measure(
            task=task,
            model=model,
            examples=examples,
            features=features,
            losses=losses,
            batch_size=batch_size,
            workers=workers,
            device=device,
            heartbeat=heartbeat,
        )
    for module, training in modes.items():
        module.training = training
    return _judged(task, measured, device.ranks)


def _judged(task: Task, measured: dict[str, Tensor], ranks: Ranks) -> tuple[dict[str, float], dict[str, str]]:
    """The first process judges for all: another machine's last digit must not end a phase there and not here."""
    if not ranks.first:
        summary, decision = json.loads(ranks.spread(None))
        return summary, decision
    summary = task.summarise(measured)
    decision = task.decide(summary)
    if ranks.size > 1:
        ranks.spread(json.dumps([summary, decision]).encode())
    return summary, decision


def _own_rows(count: int, batch_size: int, ranks: Ranks) -> range:
    """This process's rows: whole batches, so that each is the batch that one process would measure."""
    batches = share(-(-count // batch_size), ranks.rank, ranks.size)
    return range(batches.start * batch_size, min(batches.stop * batch_size, count))


def _of_all(measured: dict[str, Tensor], ranks: Ranks) -> dict[str, Tensor]:
    """The measurements of all processes in row order."""
    if ranks.size == 1:
        return measured
    order = next(names for text in ranks.texts(json.dumps(list(measured))) if (names := json.loads(text)))
    parts = [decode_tensors(part, "measurements") for part in ranks.parts(encode_tensors(measured))]
    return {name: torch.cat([part[name] for part in parts if part]) for name in order}
