"""Disease-focused cross-attention (DFCA): a backbone's tokens look up a second stream of the same picture."""

import math

import torch
from jaxtyping import Float
from timm.layers.drop import DropPath
from timm.layers.layer_scale import LayerScale
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import BadInput

EXPANSION = 4
"""Width of the feed-forward network over the tokens'."""


class DiseaseMask(nn.Module):
    """A learnt gate in (0, 2) for every place of the second stream; 1 everywhere before training.

    It is learnt on a fixed grid and interpolated (bilinear) to the stream's, so that it serves every image size. The
    interpolation is two matrix products: the gradient of torch's own has no deterministic CUDA kernel everywhere.

    Args:
        grid: Side of the grid it is learnt on.
    """

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(grid, grid))

    def forward(self, side: int) -> Float[Tensor, "side side"]:
        """The gate on a grid of `side` places a side."""
        rows = interpolation(self.logits.shape[0], side).to(self.logits)
        return 2 * torch.sigmoid(rows @ self.logits @ rows.T)


class Dfca(nn.Module):
    """Multi-head cross-attention and a feed-forward network, both residual (pre-norm).

    Queries are the backbone's tokens; keys and values are the second stream's, times the disease mask. Both branches
    end in a LayerScale (Touvron et al. 2021, eq. 8).

    Args:
        width: Channels of both streams.
        heads: Attention heads.
        mask_grid: Side of the grid on which the mask is learnt.
        drop_path: Rate of stochastic depth of both branches.
        start: What the LayerScales start from.

    Raises:
        BadInput: The heads do not divide the width.
    """

    def __init__(
        self, width: int, heads: int, *, mask_grid: int = 8, drop_path: float = 0.0, start: float = 0.1
    ) -> None:
        super().__init__()
        if width % heads:
            raise BadInput(
                f"{heads} heads do not divide the {width} channels of the backbone's map",
                where="dfca.heads",
                remedy=f"choose a divisor, {math.gcd(width, heads)} for example",
            )
        self.query_norm = nn.LayerNorm(width)
        self.second_norm = nn.LayerNorm(width)
        self.mask = DiseaseMask(mask_grid)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.attention_scale = LayerScale(width, start)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = Mlp(width, EXPANSION * width)
        self.ffn_scale = LayerScale(width, start)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, tokens: Float[Tensor, "b n d"], second: Float[Tensor, "b m d"]) -> Float[Tensor, "b n d"]:
        """Tokens of the backbone, informed by the second stream.

        Args:
            tokens: Of the backbone's map, any number.
            second: Of the second stream: a square grid, row by row.
        """
        gated = self._gated(second)
        found, _ = self.attention(self.query_norm(tokens), gated, gated, need_weights=False)
        tokens = tokens + self.drop_path(self.attention_scale(found))
        mixed: Tensor = tokens + self.drop_path(self.ffn_scale(self.ffn(self.ffn_norm(tokens))))
        return mixed

    def relevance(self, tokens: Float[Tensor, "b n d"], second: Float[Tensor, "b m d"]) -> Float[Tensor, "b m"]:
        """How much each place of the second stream is looked at: attention, averaged over heads and tokens.

        Times the mask, because a gated place says less; rows sum to at most 2.
        """
        gated = self._gated(second)
        _, weights = self.attention(self.query_norm(tokens), gated, gated, need_weights=True)
        looked: Tensor = weights.mean(dim=1) * self.mask(_side(second)).flatten()
        return looked

    def _gated(self, second: Float[Tensor, "b m d"]) -> Float[Tensor, "b m d"]:
        gate: Tensor = self.mask(_side(second)).reshape(-1, 1)
        gated: Tensor = self.second_norm(second) * gate
        return gated


def interpolation(old: int, new: int) -> Float[Tensor, "new old"]:
    """The matrix of linear interpolation from `old` to `new` values over the same span."""
    return F.interpolate(torch.eye(old)[None], size=new, mode="linear", align_corners=False)[0].T


def _side(second: Float[Tensor, "b m d"]) -> int:
    side = math.isqrt(second.shape[1])
    if side * side != second.shape[1]:
        raise ValueError(f"{second.shape[1]} tokens are no square grid")
    return side
