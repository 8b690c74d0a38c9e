"""A second stream of tokens, derived from the RGB picture by fixed formulas and embedded by patches.

`derive` has no weight: it is a pure function of the picture, so that its output can be kept like a frozen prefix's.
"""

import torch
from jaxtyping import Float
from timm.layers.pos_embed_sincos import build_sincos2d_pos_embed
from timm.layers.weight_init import trunc_normal_
from torch import Tensor, nn

from components.core.errors import BadInput
from components.core.models.wavelet import WaveletStream

DARK = 0.1
"""Smallest denominator of VARI: below, the noise of dark pixels would decide it, and at 0 it has no value."""


class BandsOf(nn.Module):
    """|LH|, |HL| and |HH| of the luminance, at half the picture's resolution."""

    channels = 3
    reduction = 2

    def __init__(self, wavelet: str, scale: float) -> None:
        super().__init__()
        self.stream = WaveletStream(wavelet, scale)

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 h h"]:
        """RGB in [0, 1] to bands."""
        return self.stream.bands(image)


class Vegetation(nn.Module):
    """ExG and VARI, at the picture's resolution.

    ExG = 2g - r - b of the chromatic coordinates r = R / (R + G + B), ... (Woebbecke et al. 1995), in [-1, 2]; 0 for
    black. VARI = (G - R) / (G + R - B) (Gitelson et al. 2002), with the denominator at least `DARK`, then clipped to
    [-1, 1]: the ratio itself has a pole where blue outweighs the rest.
    """

    channels = 2
    reduction = 1

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 2 s s"]:
        """RGB in [0, 1] to the two indices."""
        red, green, blue = image.unbind(1)
        total = red + green + blue
        excess = torch.where(total > 0, (3 * green - total) / torch.where(total > 0, total, 1.0), 0.0)
        vari = ((green - red) / (green + red - blue).clamp(min=DARK)).clamp(-1.0, 1.0)
        return torch.stack([excess, vari], dim=1)


class Saturation(nn.Module):
    """S of HSV: (max - min) / max of the three colours, 0 for black; at the picture's resolution."""

    channels = 1
    reduction = 1

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 1 s s"]:
        """RGB in [0, 1] to saturation in [0, 1]."""
        most, least = image.amax(1, keepdim=True), image.amin(1, keepdim=True)
        return torch.where(most > 0, (most - least) / torch.where(most > 0, most, 1.0), 0.0)


class SecondStream(nn.Module):
    """Derivation and patch embedding.

    The embedding is a convolution by patches, a LayerNorm and fixed sine-cosine positions, so that a token tells where
    it lies, in a picture of any size.

    Args:
        derivation: Picture to channels, with the attributes `channels` and `reduction` (of the resolution).
        patch: Pixels of the picture per side of a token.
        width: Channels of a token.

    Raises:
        BadInput: The width is no multiple of 4, which the positions need.
    """

    def __init__(self, derivation: BandsOf | Vegetation | Saturation, patch: int, width: int) -> None:
        super().__init__()
        if width % 4:
            raise BadInput(
                f"a second stream of {width} channels has no sine-cosine positions",
                where="recipe.model.backbone",
                remedy="choose a backbone whose width is a multiple of 4, or no second stream",
            )
        self.derivation = derivation
        self.patch = patch
        stride = patch // derivation.reduction
        self.projection = nn.Conv2d(derivation.channels, width, stride, stride=stride)
        self.norm = nn.LayerNorm(width)
        trunc_normal_(self.projection.weight, std=0.02)
        nn.init.zeros_(self.projection.bias)  # type: ignore[arg-type]

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b m d"]:
        """RGB pictures in [0, 1] to tokens, row by row."""
        return self.embed(self.derive(image))

    def derive(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c u u"]:
        """What is derived from RGB pictures in [0, 1]: nothing here learns."""
        derived: Tensor = self.derivation(image)
        return derived

    def embed(self, derived: Float[Tensor, "b c u u"]) -> Float[Tensor, "b m d"]:
        """What was derived to tokens, row by row; m = (s // patch) squared.

        Raises:
            BadInput: The picture is smaller than a patch.
        """
        if derived.shape[-1] < self.projection.stride[0]:
            raise BadInput(
                f"pictures of {derived.shape[-1] * self.derivation.reduction} px are smaller than a patch",
                where="second_stream.patch",
                remedy=f"choose less than {self.patch}",
            )
        grid = self.projection(derived)
        tokens = self.norm(grid.flatten(2).transpose(1, 2))
        places = build_sincos2d_pos_embed(
            list(grid.shape[-2:]), grid.shape[1], dtype=tokens.dtype, device=tokens.device
        )
        embedded: Tensor = tokens + places
        return embedded
