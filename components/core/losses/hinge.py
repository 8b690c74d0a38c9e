"""Hinge on the fusion weight."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32


def hinge_loss(alpha: Float[Tensor, ""], low: float = 0.05, high: float = 0.4) -> Float[Tensor, ""]:
    """Distance of alpha from the interval [low, high]: nothing inside it, slope 1 outside.

    One scalar, since alpha is a weight of the model and not of a sample; an objective expands it to [b].
    """
    alpha = at_least_float32(alpha)
    return F.relu(low - alpha) + F.relu(alpha - high)
