"""Maps of earlier stages brought to the last one's grid and added to it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PyramidFusion(nn.Module):
    """The last map plus a 1x1 convolution of each earlier one, averaged onto its grid. Begins as the last map alone.

    Args:
        widths: Channels of the earlier maps.
        width: Channels of the last map, d.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.projections = nn.ModuleList(nn.Conv2d(each, width, 1) for each in widths)
        for projection in self.projections:
            nn.init.zeros_(projection.weight)  # type: ignore[arg-type]
            nn.init.zeros_(projection.bias)  # type: ignore[arg-type]

    @staticmethod
    def gather(levels: Sequence[Float[Tensor, "b _ _ _"]], side: int) -> Float[Tensor, "b q g g"]:
        """Earlier maps averaged onto a grid of side g, joined along the channels. No weight takes part."""
        return torch.cat([F.adaptive_avg_pool2d(level, side) for level in levels], dim=1)

    def forward(self, last: Float[Tensor, "b d h w"], gathered: Float[Tensor, "b q g g"]) -> Float[Tensor, "b d h w"]:
        """Add the earlier maps, as `gather` gives them, to the last one."""
        fused = last
        for level, projection in zip(gathered.split(self.widths, dim=1), self.projections, strict=True):
            fused = fused + projection(F.adaptive_avg_pool2d(level, (last.shape[2], last.shape[3])))
        return fused
