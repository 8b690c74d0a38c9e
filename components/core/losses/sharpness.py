"""Sharpness loss: the prediction's edge as steep as the truth's."""

from jaxtyping import Float
from torch import Tensor

from components.core.losses.edges import edge_band, laplacian
from components.core.losses.probability import probability


def sharpness_loss(logits: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """L1 between the Laplacians of probability and truth, averaged over the 5 px band around the true edge.

    Args:
        logits: Before the sigmoid.
        truth: Foreground is 1, background 0.

    Returns:
        Values in [0, 8], 0 where probability equals truth; 0 for a sample whose truth has no edge.
    """
    predicted = probability(logits)
    band = edge_band(truth).to(predicted.dtype)
    difference = (laplacian(predicted) - laplacian(truth.to(predicted.dtype))).abs() * band
    return difference.flatten(1).sum(dim=1) / band.flatten(1).sum(dim=1).clamp(min=1)
