"""A small supervised U-Net (Ronneberger et al., 2015): what ordinary supervision reaches on the same split."""

from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

NORM_GROUPS = 8


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each with group norm and ReLU; the size stays."""

    def __init__(self, *, inputs: int, outputs: int) -> None:
        super().__init__()
        groups = gcd(NORM_GROUPS, outputs)
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(groups, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(groups, outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        out: Tensor = self.layers(x)
        return out


class UNet(nn.Module):
    """Encoder and decoder of equal depth with skip connections, for any image size from 2^depth pixels.

    Group norm, unlike batch norm, keeps samples independent of their batch, so that accumulation and a halved
    micro-batch are exact.

    Args:
        inputs: Channels of the image.
        outputs: Channels of the logits.
        width: Channels of the first level; each further level doubles them.
        depth: Number of halvings.
    """

    def __init__(self, *, inputs: int = 3, outputs: int = 1, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = ConvBlock(inputs=inputs, outputs=width)
        self.down = nn.ModuleList(ConvBlock(inputs=widths[level], outputs=widths[level + 1]) for level in range(depth))
        self.up = nn.ModuleList(
            ConvBlock(inputs=widths[level + 1] + widths[level], outputs=widths[level])
            for level in reversed(range(depth))
        )
        self.head = nn.Conv2d(width, outputs, kernel_size=1)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Logits of the image's size.

        Args:
            image: Normalised; h and w at least 2^depth.
        """
        x = self.stem(image)
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(x)
            x = block(F.max_pool2d(x, kernel_size=2))
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], dim=1))
        logits: Tensor = self.head(x)
        return logits
