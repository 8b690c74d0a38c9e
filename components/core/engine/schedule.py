"""Learning-rate schedule as a pure function of the step."""

import math
from typing import Literal

WARMUP_SHARE = 0.1
"""A warm-up takes at most this share of its phase, whatever was configured."""


def warmup_length(configured: int, total: int) -> int:
    """Optimiser steps of linear warm-up: min(configured, 10 % of the phase)."""
    return min(configured, int(total * WARMUP_SHARE))


def longer_warmup(steps: int, epochs: float, steps_per_epoch: int) -> int:
    """Optimiser steps of the longer of two warm-ups, one given in steps and one in epochs (to the nearest step)."""
    return max(steps, int(epochs * steps_per_epoch + 0.5))


def factor(step: int, total: int, warmup: int, kind: Literal["constant", "cosine"]) -> float:
    """Factor on the base rate for optimiser step `step` (from 0) of `total`."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if kind == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * progress))
