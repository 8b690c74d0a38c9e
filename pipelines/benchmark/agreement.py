"""The cache changes no number: the same steps with and without it, losses and gradients side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from components.core.engine.cache import FeatureCache
from components.core.engine.run import PhaseRun
from components.core.runtime import Cache
from pipelines.rehearsal import Rehearsal, shorten

LOSS_TOLERANCE = 1e-5
"""Relative, over all steps."""
GRADIENT_TOLERANCE = 1e-4
"""Relative, of every trainable tensor."""
BATCH = 2
"""Samples per step: fewer than are evaluated at a time while filling, so that unequal batches are compared."""
LEAST_SHARE = 1e-3
"""A tensor whose gradient is a smaller part of the whole is judged as if it were this part: rounding has no scale."""


@dataclass(frozen=True)
class Agreement:
    """Greatest differences between a cached run and one that evaluates everything in every step.

    Attributes:
        steps: Optimiser steps compared, in fp32.
        loss: Greatest relative difference of the loss.
        gradient: Greatest relative difference (2-norm) of a trainable tensor's gradient.
    """

    phase: str
    steps: int
    loss: float
    gradient: float

    @property
    def holds(self) -> bool:
        """Are both within their tolerance?"""
        return self.loss <= LOSS_TOLERANCE and self.gradient <= GRADIENT_TOLERANCE


def compare(rehearsal: Rehearsal, name: str, steps: int, folder: Path) -> Agreement:
    """Train twice from the same weights, with the cache and without it.

    Args:
        steps: Optimiser steps.
        folder: Empty; of the phase's cache.
    """
    phase = rehearsal.phases[name]
    short = shorten(phase, batch_size=min(phase.batch_size, BATCH), epochs=steps).model_copy(
        update={"precision": "fp32"}
    )
    cached, off = rehearsal.run(name, short), rehearsal.run(name, short)
    worst_loss = worst_gradient = 0.0
    done = 0
    ours = _train(cached, FeatureCache(Cache(dir=folder, dtype="float32")), steps)
    for left, right in zip(ours, _train(off, None, steps), strict=True):
        worst_loss = max(worst_loss, abs(left - right) / abs(right))
        worst_gradient = max(worst_gradient, difference(gradients(cached), gradients(off)))
        done += 1
    return Agreement(name, done, worst_loss, worst_gradient)


def _train(run: PhaseRun, cache: FeatureCache | None, steps: int) -> Iterator[float]:
    """Loss of each step; the gradients stay until the next one is asked for."""
    features = run.frozen("train", cache)
    stepper = run.stepper(features)
    done = 0
    while done < steps:
        for step in run.steps(stepper, features):
            if done < steps:
                yield sum(step.terms.values())
            done += 1
        run.next_epoch()


def gradients(run: PhaseRun) -> dict[str, Tensor]:
    """Gradients of the trainable tensors by name."""
    return {name: value.grad for name, value in run.model.named_parameters() if value.grad is not None}


def difference(left: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """Greatest relative difference of a tensor.

    Raises:
        ValueError: Another set of tensors has gradients.
    """
    if left.keys() != right.keys() or not left:
        raise ValueError(f"gradients of different tensors: {sorted(left.keys() ^ right.keys())}")
    whole = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(value) for value in right.values()]))
    scales = {name: max(float(torch.linalg.vector_norm(g)), LEAST_SHARE * float(whole)) for name, g in right.items()}
    return max(float(torch.linalg.vector_norm(left[name] - g)) / scales[name] for name, g in right.items())
