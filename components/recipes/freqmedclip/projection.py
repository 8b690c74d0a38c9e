"""HighFreqProjection: the high-frequency picture as tokens on the vision tower's own grid."""

import math

from jaxtyping import Float
from torch import Tensor, nn

HIDDEN = (64, 128)
"""Channels after the first and second convolution."""

GROUPS = 8


class HighFreqProjection(nn.Module):
    """Three convolutions whose strides multiply to the patch size, then Linear and LayerNorm per token.

    About 1.6 M parameters at width 768. A token's receptive field is centred on its patch: kernel = stride + 2 *
    padding throughout (the usual 3x3 with stride 2 looks half a pixel up and left, and half a patch in the end).
    Group norm, so that a sample's tokens never depend on its batch.

    Args:
        width: Channels of a vision token, a multiple of 8.
        patch: Pixels per token side.
    """

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        first, second = strides(patch)
        layers: list[nn.Module] = []
        channels = 3
        for after, stride, padding in ((HIDDEN[0], first, first // 2), (HIDDEN[1], second, 0), (width, 1, 1)):
            layers.append(nn.Conv2d(channels, after, stride + 2 * padding, stride=stride, padding=padding))
            layers += [nn.GroupNorm(GROUPS, after), nn.GELU()]
            channels = after
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))

    def forward(self, high: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b p d"]:
        """High-frequency picture to tokens.

        Args:
            high: Of the CLIP input size s.

        Returns:
            p = (s / patch)^2 tokens, row by row.
        """
        tokens: Tensor = self.project(self.convolutions(high).flatten(2).transpose(1, 2))
        return tokens


def strides(patch: int) -> tuple[int, int]:
    """Strides of the first two convolutions, the larger first and as equal as the patch size allows: 16 = 4 * 4."""
    second = max(side for side in range(1, math.isqrt(patch) + 1) if patch % side == 0)
    return patch // second, second
