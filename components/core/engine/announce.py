"""The one-screen summary at a phase's start: what trains, on what, at which cost, from where."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from components.core.runtime import Runtime
from components.core.tracking.overview import RunPlan

COPIES = 5
"""Trainable tensors in a checkpoint: weights, two moments of AdamW, average, best."""


def count_parameters(model: nn.Module, owned: Mapping[str, str]) -> dict[str, int]:
    """Parameters by part, in the order in which the model holds them."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[owned[name]] = counts.get(owned[name], 0) + parameter.numel()
    return counts


def describe(
    *,
    recipe: str,
    stage: str,
    data: str,
    counts: Mapping[str, int],
    rates: Mapping[str, float],
    steps: int,
    done: int,
    device: str,
    cache_bytes: int,
    runtime: Runtime,
) -> RunPlan:
    """The opening table of a phase.

    Args:
        counts: Parameters by part.
        rates: Learning rate by trainable part.
        steps: Optimiser steps planned.
        done: Of which a checkpoint has done these.
        cache_bytes: Size of the frozen features in use; 0 where there are none.
    """
    trainable = {part: counts[part] for part in rates}
    total, moving = sum(counts.values()), sum(trainable.values())
    kept = runtime.checkpoints.keep_last + 1
    return RunPlan(
        recipe=recipe,
        stage=stage,
        data=data,
        trainable=trainable,
        frozen=total - moving,
        steps=steps,
        device=device,
        cache_bytes=cache_bytes or None,
        disk_bytes=4 * (total + COPIES * moving * kept),
        free_bytes=shutil.disk_usage(Path.cwd()).free,
        resume=f"after step {done}" if done else "",
    )
