"""The attention named `medical`: multi-scale neighbourhoods and region maps."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

NEUTRAL = 2.0
"""Factor on the gates: a sigmoid of 0 then changes nothing."""


class RegionAttention(nn.Module):
    """Gates for every place and channel, from neighbourhoods of several sizes and from what soft regions show.

    Works on `inner` channels: a 1x1 convolution leads there, depthwise convolutions look at neighbourhoods, every place
    belongs to soft regions by its content and its position and is told what those regions show on the average; a 1x1
    convolution fuses all of it, and another leads back. It begins as the identity, so that a pretrained backbone's map
    reaches the head as it is.

    Args:
        width: Channels of the map, d.
        inner: Channels that it works on, m.
        kernels: Sides of the neighbourhoods, odd.
        regions: Number r of soft regions.
    """

    def __init__(self, width: int, inner: int, kernels: Sequence[int], regions: int) -> None:
        super().__init__()
        if any(kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"neighbourhoods have a middle: their sides are odd, got {list(kernels)}")
        self.reduce = nn.Conv2d(width, inner, 1)
        self.neighbourhoods = nn.ModuleList(
            nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner) for kernel in kernels
        )
        self.belong = nn.Conv2d(inner + 2, regions, 1)
        self.fuse = nn.Conv2d(inner * (len(kernels) + 1), inner, 1)
        self.activation = nn.GELU()
        self.expand = nn.Conv2d(inner, width, 1)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)  # type: ignore[arg-type]

    def forward(self, tokens: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        """The map, every place of every channel multiplied by a gate between 0 and 2."""
        hidden = self.activation(self.reduce(tokens))
        seen = [neighbourhood(hidden) for neighbourhood in self.neighbourhoods]
        fused = self.activation(self.fuse(torch.cat([*seen, self._told(hidden)], dim=1)))
        gates: Tensor = NEUTRAL * self.expand(fused).sigmoid()
        return tokens * gates

    def regions(self, hidden: Float[Tensor, "b m h w"]) -> Float[Tensor, "b r h w"]:
        """How much each place belongs to each region; sums to 1 over the regions."""
        rows, columns = (
            torch.linspace(-1, 1, side, device=hidden.device, dtype=hidden.dtype) for side in hidden.shape[2:]
        )
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(hidden), -1, -1, -1)
        maps: Tensor = self.belong(torch.cat([hidden, places], dim=1)).softmax(dim=1)
        return maps

    def _told(self, hidden: Float[Tensor, "b m h w"]) -> Float[Tensor, "b m h w"]:
        """What each place's regions show on the average."""
        maps = self.regions(hidden)
        shares = maps / maps.sum(dim=(2, 3), keepdim=True)
        shown = torch.einsum("brhw,bmhw->brm", shares, hidden)
        return torch.einsum("brm,brhw->bmhw", shown, maps)
