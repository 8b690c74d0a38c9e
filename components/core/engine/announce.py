"""The one-screen summary at a phase's start: what trains, on what, at which cost, from where."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from components.core.engine.phase import Phase
from components.core.runtime import Cache, Runtime
from components.core.tracking.overview import RunPlan

COPIES = 5
"""Trainable tensors in a checkpoint: weights, two moments of AdamW, average, best."""


def count_parameters(model: nn.Module, owned: Mapping[str, str]) -> dict[str, int]:
    """Parameters by part, in the order in which the model holds them."""
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        counts[owned[name]] = counts.get(owned[name], 0) + parameter.numel()
    return counts


def place_in_run(phase: Phase) -> str:
    """Which epochs of a longer run a leg covers, counted from 1, for its title; empty for a phase by itself."""
    if phase.course is None:
        return ""
    first = phase.begins + 1
    return f", epochs {first} to {first + phase.epochs - 1} of {phase.course.epochs}"


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
    store: str,
    runtime: Runtime,
) -> RunPlan:
    """The opening table of a phase.

    Args:
        counts: Parameters by part.
        rates: Learning rate by trainable part.
        steps: Optimiser steps planned.
        done: Of which a checkpoint has done these.
        store: Where the checkpoints go.
    """
    trainable = {part: counts[part] for part in rates if part in counts}  # a part may hold no parameters
    total, moving = sum(counts.values()), sum(trainable.values())
    kept = runtime.checkpoints.keep_last + 1
    return RunPlan(
        recipe=recipe,
        stage=stage,
        data=data,
        trainable=trainable,
        rates={part: rates[part] for part in trainable},
        frozen=total - moving,
        steps=steps,
        device=device,
        cache=_cache(runtime.cache),
        disk_bytes=4 * (total + COPIES * moving * kept),
        free_bytes=free_bytes(store),
        resume=f"after step {done}" if done else "",
    )


def _cache(settings: Cache) -> str:
    """Where frozen features are kept. Sizes follow from the first features of each kind, so the cache tells them."""
    if not settings.enabled:
        return ""
    return f"read from {settings.dir}, or filled now (each size is told first), at most {settings.max_gb:g} GB"


def free_bytes(store: str) -> int | None:
    """Free space where checkpoints go; None where nobody can tell (a bucket).

    Args:
        store: Folder, `file://` or `s3://` address. The folder need not exist yet.
    """
    scheme, separator, rest = store.partition("://")
    if separator and scheme != "file":
        return None
    place = Path(rest if separator else store).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
