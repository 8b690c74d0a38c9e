"""Prompt-quality loss: a soft bounding box that has a gradient (Tian et al., BoxInst, 2021, equation 2)."""

import torch
from jaxtyping import Float
from torch import Tensor

from components.core.losses.probability import has_foreground, probability

EPS = 1.0


def prompt_quality_loss(logits: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Dice loss between the projections (row and column maxima) of probability and truth, summed over both axes.

    A mask's projections are its bounding box; the IoU of hard boxes, which has no gradient, stays a metric.

    Args:
        logits: Before the sigmoid.
        truth: Foreground is 1, background 0.

    Returns:
        Values in [0, 2), 0 where the soft box is the true one; 0 for a sample whose truth is empty.
    """
    predicted = probability(logits)
    wanted = truth.to(predicted.dtype)
    # amax shares the gradient among equal maxima, so that a flat map moves as a whole; max would pick one pixel.
    columns = _projection(predicted.amax(dim=1), wanted.amax(dim=1))
    rows = _projection(predicted.amax(dim=2), wanted.amax(dim=2))
    loss = columns + rows
    return torch.where(has_foreground(truth), loss, torch.zeros_like(loss))


def _projection(predicted: Float[Tensor, "b n"], wanted: Float[Tensor, "b n"]) -> Float[Tensor, "b"]:
    shared = (predicted * wanted).sum(dim=1)
    total = predicted.square().sum(dim=1) + wanted.square().sum(dim=1)
    return 1 - (2 * shared + EPS) / (total + EPS)
