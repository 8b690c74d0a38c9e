"""Losses of several labels per sample, each present, absent, something between (mixed, smoothed), or unknown.

All of them are L = y L+ + (1 - y) L-, so that a soft label weighs its two sides; unknown labels (NaN) add nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32

TINY = 1e-8
"""Least probability whose logarithm is taken, as in timm's asymmetric loss."""


def smoothed(targets: Float[Tensor, "b l"], smoothing: float) -> Float[Tensor, "b l"]:
    """Targets drawn towards one half: y (1 - e) + e / 2; NaN stays NaN."""
    return targets * (1 - smoothing) + smoothing / 2


def multilabel_bce(
    logits: Float[Tensor, "b l"], targets: Float[Tensor, "b l"], pos_weight: Float[Tensor, "l"] | None = None
) -> Float[Tensor, "b"]:
    """Binary cross-entropy, averaged over the labels that are known; 0 for a sample without any.

    Args:
        targets: In [0, 1], NaN where unknown.
        pos_weight: Weight of each label's positive side.
    """
    logits, y, known = _known(logits, targets)
    loss = F.binary_cross_entropy_with_logits(logits, y, pos_weight=pos_weight, reduction="none")
    return _mean(loss, known)


def multilabel_focal(
    logits: Float[Tensor, "b l"], targets: Float[Tensor, "b l"], alpha: float = 0.25, gamma: float = 2.0
) -> Float[Tensor, "b"]:
    """Focal loss (Lin et al. 2017) per label, averaged over the labels that are known.

    Args:
        targets: In [0, 1], NaN where unknown.
        alpha: Weight of the positive side, 1 - alpha that of the negative one; -1 weighs both alike.
        gamma: Strength of the focus.
    """
    logits, y, known = _known(logits, targets)
    positive = (1 - logits.sigmoid()) ** gamma * -F.logsigmoid(logits)
    negative = logits.sigmoid() ** gamma * -F.logsigmoid(-logits)
    weights = (1.0, 1.0) if alpha < 0 else (alpha, 1 - alpha)
    return _mean(weights[0] * y * positive + weights[1] * (1 - y) * negative, known)


def asymmetric_loss(
    logits: Float[Tensor, "b l"],
    targets: Float[Tensor, "b l"],
    gamma_negative: float = 4.0,
    gamma_positive: float = 1.0,
    clip: float = 0.05,
) -> Float[Tensor, "b"]:
    """Asymmetric loss (Ridnik et al. 2021, arXiv:2009.14119), summed over the labels that are known.

    Easy negatives are weighed down harder than positives, and those below `clip` cost nothing.

    Args:
        targets: In [0, 1], NaN where unknown.
        gamma_negative: Focus on the negative side.
        gamma_positive: Focus on the positive side.
        clip: Probability by which negatives are shifted.
    """
    logits, y, known = _known(logits, targets)
    present = logits.sigmoid()
    absent = (1 - present + clip).clamp(max=1)
    positive = (1 - present) ** gamma_positive * -torch.log(present.clamp(min=TINY))
    negative = (1 - absent) ** gamma_negative * -torch.log(absent.clamp(min=TINY))
    return ((y * positive + (1 - y) * negative) * known).sum(dim=1)


def _known(
    logits: Float[Tensor, "b l"], targets: Float[Tensor, "b l"]
) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"], Float[Tensor, "b l"]]:
    """Logits and targets of full precision, unknown targets as 0, and 1 where a target is known."""
    logits = at_least_float32(logits)
    targets = targets.to(logits.dtype)
    known = ~torch.isnan(targets)
    return logits, torch.where(known, targets, torch.zeros_like(targets)), known.to(logits.dtype)


def _mean(loss: Float[Tensor, "b l"], known: Float[Tensor, "b l"]) -> Float[Tensor, "b"]:
    return (loss * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
