"""One optimiser step: micro-batches normalised over the effective batch, clipped, non-finite values named."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from components.core.engine.batch_norm import batch_statistics
from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures
from components.core.engine.gather import coupled, coupling
from components.core.engine.mixing import Mixing
from components.core.engine.order import step_seed
from components.core.engine.reports import Report
from components.core.engine.shares import Shares
from components.core.engine.task import Batch, Features, Objective, Task
from components.core.errors import ThawError

REMEDY = (
    "look at these samples, or use a lower learning rate or precision: fp32, which is another run:"
    " give it --restart or another output"
)

log = logging.getLogger(__name__)


class NonFinite(ThawError):
    """Training produced a value that is not finite. No retry with the same inputs can help."""

    exit_code = 2


class OutOfMemory(ThawError):
    """A batch that must stay whole does not fit into memory."""

    exit_code = 2


@dataclass(frozen=True)
class StepResult:
    """What one optimiser step reports.

    Attributes:
        terms: Sum over the step's samples of each loss term.
        scalars: Values the recipe logs, of the last micro-batch; over several processes the mean over its samples.
        norm: Global gradient norm before clipping.
        micro_batch: Micro-batch size that fitted.
    """

    terms: dict[str, float]
    scalars: dict[str, float]
    norm: float
    micro_batch: int


class Stepper:
    """Runs optimiser steps of one phase.

    Args:
        ids: Sample ids by row, to name the samples of a non-finite loss.
        mixing: What mixed the batches, where they are mixed.
    """

    def __init__(
        self,
        *,
        task: Task,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        device: Device,
        losses: Mapping[str, float],
        features: FrozenFeatures,
        ids: Sequence[str],
        clip: float,
        seed: int,
        mixing: Mixing | None = None,
    ) -> None:
        self._task = task
        self._model = model
        self._optimizer = optimizer
        self._device = device
        self._losses = losses
        self._features = features
        self._mixing = mixing
        self._ids = ids
        self._couples = coupling(task, losses, model, device.ranks)
        self._clip = clip
        self._seed = seed
        self._ranks = device.ranks
        self._settled = False
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def run(
        self, batch: Batch, views: Sequence[int], step: int, micro_batch: int, window: int | None = None
    ) -> StepResult:
        """Train on one window, the samples of one optimiser step.

        Args:
            batch: This process's samples of the window, on the CPU.
            views: View number of each sample.
            step: Number of the optimiser step in its phase; seeds dropout.
            micro_batch: Samples per forward pass to begin with.
            window: Samples of the window over all processes; None for those of the batch.
        """
        size = len(batch["row"]) if window is None else window
        while True:
            try:
                return self._attempt(batch, views, step, micro_batch, size)
            except (torch.OutOfMemoryError, MemoryError) as error:
                if self._settled:
                    raise  # the other processes have taken this step
                self._optimizer.zero_grad(set_to_none=True)
                micro_batch = self._smaller(micro_batch, batch, views, error)

    def _attempt(self, batch: Batch, views: Sequence[int], step: int, micro_batch: int, window: int) -> StepResult:
        self._settled = False
        self._optimizer.zero_grad(set_to_none=True)
        shares = Shares.of(self._ranks, micro_batch, self._couples)  # coupled batches never shrink
        bounds = shares.bounds(window, micro_batch)
        with coupled(self._ranks) if shares.whole else nullcontext():
            report = self._accumulate(batch, views, step, bounds, window, micro_batch)
        report = self._settle(report, shares, window)
        norm = self._device.clip(self._parameters, self._clip)
        self._check_norm(norm, batch)
        self._optimizer.step()
        return StepResult(report.terms, report.scalars, norm, report.micro_batch)

    def _accumulate(
        self,
        batch: Batch,
        views: Sequence[int],
        step: int,
        bounds: Sequence[tuple[int, int]],
        window: int,
        micro_batch: int,
    ) -> Report:
        """Add up the gradients of this process's micro-batches."""
        sums: dict[str, float] = {}
        scalars: dict[str, float] = {}
        samples = 0
        for number, (start, stop) in enumerate(bounds):
            piece, piece_views = _piece(batch, views, start, stop)
            torch.manual_seed(step_seed(self._seed, step, number, self._ranks.rank))
            objective = self._forward(piece, piece_views)
            loss = self._total(objective, piece) / window
            self._device.backward(loss)
            scalars, samples = objective.scalars, stop - start
            for name, values in objective.terms.items():
                sums[name] = sums.get(name, 0.0) + float(values.detach().double().sum())
        return Report(sums, scalars, samples, micro_batch)

    def _settle(self, report: Report, shares: Shares, window: int) -> Report:
        """Add terms and gradients up over the processes, once all of them have come so far without an error."""
        if self._ranks.size == 1:
            return report
        if shares.some_idle(window):
            if shares.idle(window):
                self._ranks.attend(self._device.device)
            else:
                self._ranks.wait()
        total = report.over(self._ranks, self._parameters)
        self._settled = True
        return total

    def _forward(self, piece: Batch, views: Sequence[int]) -> Objective:
        features: Features
        if self._mixing is None:
            features = self._features.of(piece, views)
        else:
            piece, features = self._mixing.features(self._features, piece, views)
        moved = self._device.move(piece)
        with self._device.autocast():
            return self._task.objective(self._model, moved, features, self._losses)

    def _total(self, objective: Objective, piece: Batch) -> Tensor:
        """Sum of the loss over the samples of a micro-batch."""
        per_sample = torch.stack([values.float() for values in objective.terms.values()])
        finite = torch.isfinite(per_sample)
        if not bool(finite.all()):
            names = list(objective.terms)
            rows, columns = (~finite).nonzero(as_tuple=True)
            terms = sorted({names[int(row)] for row in rows})
            samples = sorted({self._ids[int(piece["row"][int(column)])] for column in columns})
            raise NonFinite(
                f"the loss is not finite in {', '.join(terms)}",
                where=f"samples {', '.join(samples)}",
                remedy=REMEDY,
            )
        return per_sample.sum()

    def _check_norm(self, norm: float, batch: Batch) -> None:
        if self._device.precision != "fp16" and not torch.isfinite(torch.tensor(norm)):
            own = [self._ids[int(row)] for row in batch["row"]]
            samples = [name for text in self._ranks.texts(json.dumps(own)) for name in json.loads(text)]
            raise NonFinite(
                "a gradient is not finite though the loss is",
                where=f"samples {', '.join(samples)}",
                remedy=REMEDY,
            )

    def _smaller(self, micro_batch: int, batch: Batch, views: Sequence[int], error: BaseException) -> int:
        # Within one process batch norms leave the shares alone, but a smaller micro-batch has other statistics.
        if whole := self._couples or batch_statistics(self._model):
            raise OutOfMemory(
                f"a batch of {micro_batch} does not fit into memory and must not be split: {whole}",
                where="batch_size",
                remedy=f"the largest batch that fits is {self._largest(micro_batch, batch, views)}",
            ) from error
        if micro_batch == 1:
            raise OutOfMemory(
                "one sample does not fit into memory",
                where="batch_size",
                remedy="use a larger device or smaller images",
            ) from error
        log.warning("out of memory at a micro-batch of %d: going on with %d", micro_batch, micro_batch // 2)
        return micro_batch // 2

    def _largest(self, failed: int, batch: Batch, views: Sequence[int]) -> int:
        """Largest batch whose forward and backward pass fits, by halving; of several processes each takes its share."""
        size = -(-failed // self._ranks.size) // 2
        while size:
            piece, piece_views = _piece(batch, views, 0, size)
            try:
                self._device.backward(self._total(self._forward(piece, piece_views), piece))
            except (torch.OutOfMemoryError, MemoryError):
                size //= 2
            else:
                return size * self._ranks.size
            finally:
                self._optimizer.zero_grad(set_to_none=True)
        return 0


def _piece(batch: Batch, views: Sequence[int], start: int, stop: int) -> tuple[Batch, Sequence[int]]:
    return {name: value[start:stop] for name, value in batch.items()}, views[start:stop]
