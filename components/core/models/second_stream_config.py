"""Second streams as values (no torch here): what is derived from the RGB picture for DFCA to look up."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from components.core.config import Values

if TYPE_CHECKING:
    from components.core.models.second_stream import SecondStream


class _Patches(Values):
    """What every stream is cut into.

    Attributes:
        patch: Pixels of the picture per side of a token; even.
    """

    patch: int = Field(default=16, ge=2, multiple_of=2)


class WaveletBands(_Patches):
    """High-frequency bands of the luminance: |LH|, |HL| and |HH| of one wavelet level, at half resolution.

    Attributes:
        wavelet: Orthogonal wavelet of PyWavelets.
        scale: Fixed factor on the bands.
    """

    kind: Literal["wavelet"] = "wavelet"
    wavelet: str = "haar"
    scale: float = Field(default=4.0, gt=0)

    def build(self, width: int) -> "SecondStream":
        """Build it for tokens of `width` channels, weights from torch's current generator."""
        from components.core.models.second_stream import BandsOf, SecondStream

        return SecondStream(BandsOf(self.wavelet, self.scale), self.patch, width)


class VegetationIndices(_Patches):
    """Vegetation indices of the colours: excess green (ExG) and the atmospherically resistant index (VARI)."""

    kind: Literal["vegetation"] = "vegetation"

    def build(self, width: int) -> "SecondStream":
        """Build it for tokens of `width` channels, weights from torch's current generator."""
        from components.core.models.second_stream import SecondStream, Vegetation

        return SecondStream(Vegetation(), self.patch, width)


class HsvSaturation(_Patches):
    """Saturation of the HSV colours."""

    kind: Literal["saturation"] = "saturation"

    def build(self, width: int) -> "SecondStream":
        """Build it for tokens of `width` channels, weights from torch's current generator."""
        from components.core.models.second_stream import Saturation, SecondStream

        return SecondStream(Saturation(), self.patch, width)


class NoSecondStream(Values):
    """None: for models without DFCA."""

    kind: Literal["none"] = "none"

    def build(self, width: int) -> None:
        """Nothing to build."""


SecondStreamConfig: TypeAlias = Annotated[
    WaveletBands | VegetationIndices | HsvSaturation | NoSecondStream, Field(discriminator="kind")
]
