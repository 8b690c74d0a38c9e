"""Focal loss over exclusive classes (Lin et al., Focal Loss for Dense Object Detection, 2017, eq. 4, of a softmax)."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32


def focal_classes_loss(
    logits: Float[Tensor, "b k"],
    truth: Int64[Tensor, "b"],
    gamma: float = 2.0,
    weights: Float[Tensor, "k"] | None = None,
) -> Float[Tensor, "b"]:
    """Cross-entropy that weighs easy samples down: -w_y (1 - p_y)^gamma log p_y, in nats.

    Args:
        logits: Before the softmax.
        truth: Class of each sample, counted from 0.
        gamma: Strength of the focus, 0 (plain cross-entropy) or at least 1: the slope in between has no bound at p = 1.
        weights: Factor w by class; None weighs all alike. A mean over samples divides by their number and not, as
            torch's own reduction does, by the sum of their weights: a sample's share must not depend on its batch.
    """
    log_truth = F.log_softmax(at_least_float32(logits), dim=1).gather(1, truth[:, None])[:, 0]
    # 1 - p as -expm1(log p): exact for samples that are nearly certain.
    loss: Tensor = -((-log_truth.expm1()) ** gamma) * log_truth
    return loss if weights is None else loss * weights[truth]
