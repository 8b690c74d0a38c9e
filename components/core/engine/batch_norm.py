"""Batch normalisation over the shares of a batch that several processes have."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.engine.ranks import Ranks

_BATCH_NORM = nn.modules.batchnorm._BatchNorm


def batch_statistics(model: nn.Module) -> str:
    """Why a model in training couples the samples of its batches; empty where it does not."""
    norms = [name for name, each in model.named_modules() if each.training and isinstance(each, _BATCH_NORM)]
    return f"{norms[0]} normalises by the statistics of its batch" if norms else ""


@contextmanager
def batch_norms_over(ranks: Ranks) -> Iterator[None]:
    """Inside the block batch norms in training take the statistics of all processes' samples.

    `F.batch_norm` is replaced, which is where torch's and timm's layers end alike: `SyncBatchNorm` knows no CPU, and
    modes of torch do not reach the forward passes that autograd recomputes in threads of its own.
    """
    plain = F.batch_norm
    F.batch_norm = partial(_batch_norm, ranks, plain)
    try:
        yield
    finally:
        F.batch_norm = plain


def _batch_norm(
    ranks: Ranks,
    plain: Any,
    input: Float[Tensor, "b c *d"],
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `F.batch_norm`, whose names of arguments these are, of the whole batch."""
    if not training:
        output: Tensor = plain(input, running_mean, running_var, weight, bias, training, momentum, eps)
        return output
    with torch.autocast(input.device.type, enabled=False):
        x = input.float()
        others = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        samples = x.new_full((1,), x.numel() / x.shape[1])
        total = _Sum.apply(ranks, torch.cat([x.sum(others), samples]))  # type: ignore[no-untyped-call]
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = x - mean.view(shape)
        squares = _Sum.apply(ranks, centred.square().sum(others))  # type: ignore[no-untyped-call]
        variance = squares / count
        result = centred * (variance + eps).rsqrt().view(shape)
        result = result if weight is None else result * weight.float().view(shape)
        result = result if bias is None else result + bias.float().view(shape)
    with torch.no_grad():
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((squares / (count - 1).clamp(min=1)).to(running_var.dtype), momentum)
    normalised: Tensor = result.to(input.dtype)
    return normalised


class _Sum(torch.autograd.Function):
    """The sum over all processes; every process's loss depends on it, so the gradient is a sum over them too."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, x: Tensor) -> Tensor:
        ctx.ranks = ranks
        return ranks.sum(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.ranks.sum(gradients[0])
