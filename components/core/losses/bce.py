"""Binary cross-entropy."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32


def bce_loss(logits: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Cross-entropy averaged over the pixels of each sample, in nats; empty truth counts like any other."""
    logits = at_least_float32(logits)
    loss = F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    return loss.flatten(1).mean(dim=1)
