"""Cross-entropy with label smoothing (Szegedy et al., Rethinking the Inception Architecture, 2016, section 7)."""

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32


def smoothed_cross_entropy_loss(
    logits: Float[Tensor, "b k"],
    truth: Int64[Tensor, "b"],
    smoothing: float = 0.1,
    weights: Float[Tensor, "k"] | None = None,
) -> Float[Tensor, "b"]:
    """Cross-entropy against (1 - smoothing) on the true class and smoothing / k on every class, in nats.

    Args:
        logits: Before the softmax.
        truth: Class of each sample, counted from 0.
        smoothing: Mass that is spread over all classes; 0 is plain cross-entropy.
        weights: Factor on each class's own share of the sum, as torch defines it; None weighs all alike. A mean over
            samples divides by their number, not by the sum of their weights.
    """
    return F.cross_entropy(at_least_float32(logits), truth, weight=weights, reduction="none", label_smoothing=smoothing)
