"""Boundary loss: edges of the prediction where the truth has edges, and nowhere else."""

import torch
from jaxtyping import Float
from torch import Tensor

from components.core.losses.edges import sobel_magnitude
from components.core.losses.probability import probability

EPS = 1e-3


def boundary_loss(logits: Float[Tensor, "b h w"], truth: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """Charbonnier difference of the Sobel gradient magnitudes of probability and truth, averaged over pixels.

    rho(d) = sqrt(d^2 + eps^2) - eps (Charbonnier et al., 1994), so that equal maps score exactly 0. The magnitudes
    too have eps inside their root: a flat map has finite gradients.

    Args:
        logits: Before the sigmoid.
        truth: Foreground is 1, background 0.

    Returns:
        Values >= 0, 0 where the edges agree. Empty truth asks for a map without edges.
    """
    predicted = probability(logits)
    difference = sobel_magnitude(predicted, EPS) - sobel_magnitude(truth.to(predicted.dtype), EPS)
    loss = torch.sqrt(difference.square() + EPS**2) - EPS
    return loss.flatten(1).mean(dim=1)
