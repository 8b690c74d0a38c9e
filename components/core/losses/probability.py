"""From logits to probabilities, in a precision that sums over pixels survive."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def at_least_float32(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half-precision values as float32; float32 and float64 unchanged (autocast hands losses half precision)."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def probability(logits: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Sigmoid of the logits, at least in float32."""
    return torch.sigmoid(at_least_float32(logits))


def has_foreground(truth: Float[Tensor, "b h w"]) -> Bool[Tensor, "b"]:
    """Which samples' truth holds any foreground at all."""
    return (truth > 0).flatten(1).any(dim=1)
