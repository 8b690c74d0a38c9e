"""Test-time augmentation of a batch: every view of every picture is predicted, maps are brought back and averaged.

The views are those of `components.core.tta` themselves, so that evaluation judges the pixels that an exported
predictor sees; their work is nothing beside a model's.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from components.core.engine.task import Batch
from components.core.tta import Picture, Tta, merge, view

PICTURES = 4
"""Least dimensions of a batch field that holds pictures or masks: [b, c, h, w], or slices [b, n, c, h, w]."""

MAPS = 3
"""Least dimensions of a prediction that is a map: [b, h, w]. One of two, [b, k], is about whole pictures."""

VARIANCE = ":variance"
"""Ending of the name of what the views differ by."""


def average_views(tta: Tta, batch: Batch, predict: Callable[[Batch], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of what is predicted of the views.

    Args:
        batch: On any device; square where a view turns pictures.
        predict: A batch like it to predictions by name, [b, h, w] or [b, k], each [b, ...].

    Returns:
        As `predict`, float32 on the CPU; where there are several views also `NAME:variance` over them, of what is about
        whole pictures [b, k].
    """
    collected: dict[str, list[Picture]] = {}
    for one in (view(name) for name in tta.views):
        shown = {name: _turned(one.apply, value) for name, value in batch.items()}
        for name, value in predict(shown).items():
            answer = value.float().cpu().numpy()
            collected.setdefault(name, []).append(_over_pixels(one.invert, answer) if answer.ndim >= MAPS else answer)
    found = {name: torch.from_numpy(merge(answers)) for name, answers in collected.items()}
    return found | {
        f"{name}{VARIANCE}": torch.from_numpy(np.var(np.stack(answers), axis=0, dtype=np.float64).astype(np.float32))
        for name, answers in collected.items()
        if len(answers) > 1 and answers[0].ndim < MAPS
    }


def _turned(change: Callable[[Picture], Picture], value: Tensor) -> Tensor:
    if value.ndim < PICTURES:
        return value
    return torch.from_numpy(_over_pixels(change, value.cpu().numpy())).to(value.device)


def _over_pixels(change: Callable[[Picture], Picture], values: Picture) -> Picture:
    """Apply what works on [h, w, ...] to [..., h, w]."""
    shown = change(np.moveaxis(values, (-2, -1), (0, 1)))
    return np.ascontiguousarray(np.moveaxis(shown, (0, 1), (-2, -1)))
