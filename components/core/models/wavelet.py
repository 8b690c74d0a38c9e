"""Single-level 2-D wavelet transform as one strided grouped convolution, and the high-frequency picture made of it."""

from typing import Any

import pywt
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import BadInput

LUMINANCE = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue."""


class WaveletStream(nn.Module):
    """Discrete wavelet transform with periodization, equal to `pywt.dwt2(image, name, mode="periodization")`.

    Args:
        name: Any orthogonal wavelet of PyWavelets (`haar`, `db4`, `sym4`, ...).
        scale: Fixed factor on the high-frequency picture, the same for every image: a per-image range would make
            noise of a flat image look like an edge.

    Raises:
        BadInput: The wavelet is unknown or not orthogonal.
    """

    filters: Tensor
    luminance: Tensor

    def __init__(self, name: str = "haar", scale: float = 4.0) -> None:
        super().__init__()
        wavelet = _orthogonal(name)
        low, high = torch.tensor(wavelet.dec_lo).flip(0), torch.tensor(wavelet.dec_hi).flip(0)
        # Order of pywt: approximation, then details along the rows (LH), the columns (HL) and both (HH).
        bands = torch.stack([low[:, None] * low, high[:, None] * low, low[:, None] * high, high[:, None] * high])
        self.register_buffer("filters", bands[:, None].float(), persistent=False)
        self.register_buffer("luminance", torch.tensor(LUMINANCE)[:, None, None], persistent=False)
        self.scale = scale

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 4 h2 w2"]:
        """Transform each channel.

        Args:
            image: Any size from the filter's length up; an odd side is extended by its last row or column.

        Returns:
            Approximation, LH, HL and HH (signed), [b, c, 4, ceil(h / 2), ceil(w / 2)].

        Raises:
            BadInput: A side is shorter than the filter.
        """
        length = self.filters.shape[-1]
        if min(image.shape[-2:]) < length:
            raise BadInput(
                f"an image of {image.shape[-2]}x{image.shape[-1]} is smaller than the wavelet's {length} taps",
                where="wavelet",
                remedy="use haar, or larger images",
            )
        channels = image.shape[1]
        filters = self.filters.repeat(channels, 1, 1, 1)
        bands = F.conv2d(_periodic(image, length // 2 - 1), filters, stride=2, groups=channels)
        return bands.reshape(len(image), channels, 4, *bands.shape[-2:])

    def bands(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """|LH|, |HL| and |HH| of the luminance at the fixed scale, at half resolution.

        Args:
            image: RGB in [0, 1].
        """
        grey = (image * self.luminance).sum(dim=1, keepdim=True)
        details: Tensor = self(grey)[:, 0, 1:]
        return details.abs() * self.scale

    def high_frequency(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The same bands resized (bilinear) to the size of the image."""
        return F.interpolate(self.bands(image), image.shape[-2:], mode="bilinear", align_corners=False)


def _orthogonal(name: str) -> Any:
    try:
        wavelet = pywt.Wavelet(name)
    except ValueError as error:
        raise BadInput(f"unknown wavelet {name!r}", where="wavelet", remedy="take one of pywt.wavelist()") from error
    if not wavelet.orthogonal:
        raise BadInput(
            f"the wavelet {name!r} is not orthogonal", where="wavelet", remedy="take haar, dbN, symN or coifN"
        )
    return wavelet


def _periodic(image: Float[Tensor, "b c h w"], pad: int) -> Float[Tensor, "b c h2 w2"]:
    """Even sides (the last row or column once more), then `pad` samples of the other end on each side."""
    if image.shape[-2] % 2:
        image = torch.cat([image, image[..., -1:, :]], dim=-2)
    if image.shape[-1] % 2:
        image = torch.cat([image, image[..., -1:]], dim=-1)
    return F.pad(image, (pad, pad, pad, pad), mode="circular") if pad else image
