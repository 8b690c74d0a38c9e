"""Focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017)."""

from jaxtyping import Float
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from components.core.losses.probability import at_least_float32


def focal_loss(
    logits: Float[Tensor, "b *rest"], truth: Float[Tensor, "b *rest"], alpha: float = 0.25, gamma: float = 2.0
) -> Float[Tensor, "b"]:
    """Cross-entropy that weighs easy elements down by (1 - p)^gamma, averaged over each sample's elements.

    Args:
        logits: Pixels of a mask or classes of a sample, before the sigmoid.
        truth: 1 or 0 for each.
        alpha: Weight of positives, 1 - alpha that of negatives; -1 weighs both alike.
        gamma: Strength of the focus; 0 is plain cross-entropy.
    """
    logits = at_least_float32(logits)
    loss: Tensor = sigmoid_focal_loss(logits, truth.to(logits.dtype), alpha=alpha, gamma=gamma, reduction="none")
    return loss.flatten(1).mean(dim=1)
