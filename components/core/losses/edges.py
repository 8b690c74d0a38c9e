"""Finite differences of maps: Sobel magnitude, Laplacian, and the band around a mask's edge.

They are written as shifted sums instead of convolutions: autocast would run a convolution in half precision,
and one channel with nine constant taps gains nothing from it. Borders are replicated, so that the image's frame
is never an edge.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

BAND_REACH = 2
"""Pixels by which the edge line is widened on each side: 1 + 2 * 2 = the 5 px band of sharpness."""


def sobel_magnitude(maps: Float[Tensor, "b h w"], eps: float) -> Float[Tensor, "b h w"]:
    """Gradient magnitude, scaled so that a step from 0 to 1 gives 1 (beside the step).

    Args:
        maps: Values to differentiate.
        eps: Added (squared) inside the root, which keeps the gradient finite where the map is flat.
    """
    padded = _replicate(maps)
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    columns = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    along_x = (rows[:, :, 2:] - rows[:, :, :-2]) / 4
    along_y = (columns[:, 2:] - columns[:, :-2]) / 4
    return torch.sqrt(along_x.square() + along_y.square() + eps**2)


def laplacian(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Five-point Laplacian."""
    padded = _replicate(maps)
    across = padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    down = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    return across + down - 4 * maps


def edge_band(truth: Float[Tensor, "b h w"]) -> Bool[Tensor, "b h w"]:
    """The 5 px band: foreground pixels with a background 8-neighbour, widened by 2 px on each side.

    A mask without edge (empty, or the whole image) has an empty band.
    """
    mask = (truth > 0.5).float().unsqueeze(1)
    eroded = -F.max_pool2d(-mask, kernel_size=3, stride=1, padding=1)
    line = mask - eroded
    band = F.max_pool2d(line, kernel_size=2 * BAND_REACH + 1, stride=1, padding=BAND_REACH)
    return band.squeeze(1) > 0.5


def _replicate(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b hp wp"]:
    """By concatenation: the padding kernel of torch has no deterministic backward pass on CUDA."""
    tall = torch.cat([maps[:, :1], maps, maps[:, -1:]], dim=1)
    return torch.cat([tall[:, :, :1], tall, tall[:, :, -1:]], dim=2)
