"""Consistency loss: saliency learns from the segmenter's mask, never the other way round."""

from jaxtyping import Float
from torch import Tensor

from components.core.losses.probability import probability


def consistency_loss(logits: Float[Tensor, "b h w"], target_logits: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Mean squared difference of the two probabilities; no gradient reaches the target.

    Args:
        logits: What learns, before the sigmoid.
        target_logits: What it is drawn to, before the sigmoid.

    Returns:
        Values in [0, 1].
    """
    target = probability(target_logits).detach()
    return (probability(logits) - target).square().flatten(1).mean(dim=1)
