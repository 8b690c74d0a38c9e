"""SaliencyHead: similarity of fused patches and text as logits, refined along the image's fine structure."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 8
TEMPERATURE = 0.07
"""CLIP's temperature at the start of its own training."""


class SaliencyHead(nn.Module):
    """Cosine to the text, scaled by a learnable temperature, then a small residual conv head.

    The conv head sees the coarse logits, the high-frequency bands, and the products patch * text channel by channel
    (their sum is the cosine): whatever it adds has been seen through the text, too.

    Args:
        joint: Dimension of the joint space.
        width: Channels of the conv head.
        size: Side of the refined logits, at most half of the image's.
    """

    def __init__(self, joint: int, width: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))
        self.bias = nn.Parameter(torch.zeros(()))
        self.guide = nn.Sequential(nn.Conv2d(joint, width, 1), nn.GroupNorm(GROUPS, width), nn.GELU())
        self.refine = nn.Sequential(
            nn.Conv2d(width + 4, width, 3, padding=1),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(
        self, patch: Float[Tensor, "b p j"], text: Float[Tensor, "b j"], bands: Float[Tensor, "b 3 u v"]
    ) -> tuple[Float[Tensor, "b 1 g g"], Float[Tensor, "b 1 r r"]]:
        """Saliency logits.

        Args:
            patch: Patch tokens in the joint space, unit length, p = g^2.
            text: Prompt in the joint space, unit length.
            bands: High-frequency bands of the image, any size.

        Returns:
            Coarse logits on the token grid, and refined ones of `size`, both before the sigmoid.
        """
        grid = math.isqrt(patch.shape[1])
        products = (patch * text[:, None]).transpose(1, 2).reshape(len(patch), -1, grid, grid)
        coarse = products.sum(dim=1, keepdim=True) * self.log_scale.exp() + self.bias
        # Entries of two unit vectors of j channels are of size 1 / j: bring them to 1.
        guide = self._resize(self.guide(products * products.shape[1]))
        large = self._resize(coarse)
        return coarse, large + self.refine(torch.cat([large, guide, self._resize(bands)], dim=1))

    def _resize(self, picture: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c r r"]:
        if picture.shape[-2:] == (self.size, self.size):
            return picture
        return F.interpolate(picture, (self.size, self.size), mode="bilinear", align_corners=False)
