"""Soft Dice loss (Milletari et al., V-Net, 2016)."""

import torch
from jaxtyping import Float
from torch import Tensor

from components.core.losses.probability import has_foreground, probability

EPS = 1.0


def soft_dice_loss(logits: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """One minus the soft Dice overlap of probability and truth.

    Equal to `monai.losses.DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1)` per sample, which tests check; see
    docs/decisions/0002-losses-and-monai.md for why it is not imported.

    Args:
        logits: Before the sigmoid.
        truth: Foreground is 1, background 0.

    Returns:
        Values in [0, 1); 0 for a sample whose truth is empty.
    """
    predicted = probability(logits).flatten(1)
    wanted = truth.to(predicted.dtype).flatten(1)
    shared = (predicted * wanted).sum(dim=1)
    total = predicted.sum(dim=1) + wanted.sum(dim=1)
    loss = 1 - (2 * shared + EPS) / (total + EPS)
    return torch.where(has_foreground(truth), loss, torch.zeros_like(loss))
