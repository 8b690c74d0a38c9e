"""Attention on the map of a slice, as values (no torch here)."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from components.core.config import Values

if TYPE_CHECKING:
    from torch import nn


class NoAttention(Values):
    """The map as it is."""

    kind: Literal["none"] = "none"

    def build(self, width: int) -> "nn.Module":
        """Build it for maps of `width` channels."""
        from torch import nn

        return nn.Identity()


class SqueezeExcite(Values):
    """Channels weighed by what the whole map shows (Hu et al. 2018, arXiv:1709.01507).

    Attributes:
        reduction: Share of the channels between its two layers.
    """

    kind: Literal["se"] = "se"
    reduction: float = Field(default=1 / 16, gt=0, le=1)

    def build(self, width: int) -> "nn.Module":
        """Build it for maps of `width` channels, weights from torch's current generator."""
        from timm.layers.create_attn import create_attn

        return _made(create_attn("se", width, rd_ratio=self.reduction))


class Cbam(Values):
    """Channels weighed by the map's mean and maximum, then places by a 7x7 (Woo et al. 2018, arXiv:1807.06521).

    Attributes:
        reduction: Share of the channels between the two layers of the MLP.
    """

    kind: Literal["cbam"] = "cbam"
    reduction: float = Field(default=1 / 16, gt=0, le=1)

    def build(self, width: int) -> "nn.Module":
        """Build it for maps of `width` channels, weights from torch's current generator."""
        from timm.layers.create_attn import create_attn

        return _made(create_attn("cbam", width, rd_ratio=self.reduction))


class MedicalAttention(Values):
    """Neighbourhoods of several sizes, and what the picture's regions show, weigh every place of every channel.

    Attributes:
        reduction: Share of the channels that it works on.
        kernels: Sides of the depthwise neighbourhoods, odd.
        regions: Soft regions that the map is divided into by content and place.
    """

    kind: Literal["medical"] = "medical"
    reduction: float = Field(default=1 / 16, gt=0, le=1)
    kernels: tuple[Annotated[int, Field(ge=1, multiple_of=1)], ...] = Field(default=(1, 3, 5, 7), min_length=1)
    regions: int = Field(default=6, ge=1)

    def build(self, width: int) -> "nn.Module":
        """Build it for maps of `width` channels, weights from torch's current generator."""
        from components.recipes.ct_abnormality.attention import RegionAttention

        return RegionAttention(width, max(8, round(width * self.reduction)), self.kernels, self.regions)


AttentionConfig: TypeAlias = Annotated[
    NoAttention | SqueezeExcite | Cbam | MedicalAttention, Field(discriminator="kind")
]


def _made(module: "nn.Module | None") -> "nn.Module":
    if module is None:
        raise RuntimeError("timm made no attention")
    return module
