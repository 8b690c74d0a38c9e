"""Batches that are coupled across processes: losses compare their samples with those of every process."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from components.core.engine.batch_norm import batch_norms_over, batch_statistics
from components.core.engine.ranks import Ranks
from components.core.engine.shares import share
from components.core.engine.task import Task

_coupled: list[Ranks] = []
"""The processes whose batches are one batch, while a coupled step is under way. Not a context variable: autograd runs
recomputed forward passes in threads of its own."""


@contextmanager
def coupled(ranks: Ranks) -> Iterator[None]:
    """Inside the block the micro-batches of all processes are shares of one batch, for `gather` and for batch norms."""
    _coupled.append(ranks)
    try:
        with batch_norms_over(ranks):
            yield
    finally:
        _coupled.pop()


def coupling(task: Task, losses: Mapping[str, float], model: nn.Module, ranks: Ranks) -> str:
    """Why the batches of a phase must stay whole; empty where they may be cut.

    Args:
        model: In training. Its batch norms couple what several processes compute, whether the recipe says so or not.
    """
    return task.couples(losses) or (batch_statistics(model) if ranks.size > 1 else "")


def gather(x: Shaped[Tensor, "b *d"]) -> Shaped[Tensor, "n *d"]:
    """The rows of the whole batch, of which this process has some.

    Gradients flow back to the rows of every process: what any process's loss says about a row is added up where the
    row is from. Outside of a coupled step (validation, one process) the rows are all there are, and come back as they
    are. Every process must gather the same things in the same order.

    Args:
        x: This process's rows, the first dimension being the samples of its micro-batch.

    Returns:
        All rows, in the order of the batch; `own_rows` tells which of them are x.
    """
    if not _coupled:
        return x
    gathered: Tensor = _Gather.apply(_coupled[-1], x)  # type: ignore[no-untyped-call]
    return gathered


def own_rows(total: int) -> slice:
    """Which rows of a gathered batch of `total` samples are this process's own."""
    if not _coupled:
        return slice(0, total)
    ranks = _coupled[-1]
    own = share(total, ranks.rank, ranks.size)
    return slice(own.start, own.stop)


class _Gather(torch.autograd.Function):
    """Rows of all processes; backward sums their gradients over the processes and keeps the own ones."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, x: Tensor) -> Tensor:
        gathered = ranks.rows(x)
        own = share(len(gathered), ranks.rank, ranks.size)
        if len(own) != len(x):
            raise ValueError(f"{len(x)} rows are not process {ranks.rank}'s share of a batch of {len(gathered)}")
        ctx.ranks, ctx.own = ranks, own
        return gathered

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        total = ctx.ranks.sum(gradients[0])
        return None, total[ctx.own.start : ctx.own.stop]
