"""Ways to get a Segment Anything model, as values (no torch here)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from components.core.config import Values

if TYPE_CHECKING:
    from components.core.models.sam import SamTower

SAM_MEAN = (123.675, 116.28, 103.53)
"""Mean of red, green and blue (of 255) that SAM is fed with."""
SAM_STD = (58.395, 57.12, 57.375)

SamModel: TypeAlias = Literal["vit_b", "vit_l", "vit_h"]
"""Sizes in segment_anything's registry."""

IMAGE_SIZE = 1024
"""Side of the square images that every published size takes, in pixels."""


class CheckpointSam(Values):
    """A pretrained SAM (or MedSAM: same keys) from a local checkpoint.

    Attributes:
        model: Size in segment_anything's registry.
        file: `.pth` as published, or the safetensors file that the import command made of it.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    model: SamModel = "vit_b"
    file: Path

    @property
    def image_size(self) -> int:
        """Side of the square images it takes, in pixels."""
        return IMAGE_SIZE

    @property
    def random(self) -> bool:
        """Are the weights untrained?"""
        return False

    def missing(self) -> str:
        """Why it cannot be built on this machine; empty where it can."""
        return "" if self.file.is_file() else f"there is no file {self.file}"

    def weight_files(self) -> dict[str, Path]:
        """What it is built from, by key."""
        return {"file": self.file}

    def untrained(self) -> "UntrainedSam":
        """The same architecture with random weights."""
        return UntrainedSam(model=self.model, stands_in=True)

    def build(self) -> "SamTower":
        """Build the model and load its weights."""
        from components.core.models.sam_build import build_checkpoint

        return build_checkpoint(self)


class TinySam(Values):
    """A small random SAM: its decoder, neck and mask prompt must train.

    Attributes:
        image_size: Side of the square images, in pixels.
        patch: Pixels per token side.
        width: Channels of the image encoder.
        depth: Blocks of the image encoder.
        prompt_width: Channels of embeddings, prompts and decoder.
    """

    kind: Literal["tiny"] = "tiny"
    image_size: int = Field(default=96, ge=16)
    patch: int = Field(default=8, ge=2)
    width: int = Field(default=96, ge=8)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    prompt_width: int = Field(default=64, ge=32, multiple_of=32)

    @model_validator(mode="after")
    def _sizes_divide(self) -> "TinySam":
        if self.image_size % self.patch or self.width % self.heads:
            raise ValueError("image_size must be a multiple of patch, and width of heads")
        return self

    @property
    def random(self) -> bool:
        """Are the weights untrained?"""
        return True

    def build(self) -> "SamTower":
        """Build the model with weights from torch's current generator."""
        from components.core.models.sam_build import build_tiny

        return build_tiny(self)

    def missing(self) -> str:
        """Nothing ever is."""
        return ""

    def weight_files(self) -> dict[str, Path]:
        """It reads none."""
        return {}

    def untrained(self) -> "TinySam":
        """It never was trained."""
        return self


class UntrainedSam(Values):
    """A published size with random weights: its times and memory, no meaning.

    Attributes:
        model: Size in segment_anything's registry.
        stands_in: It stands in for pretrained weights in a rehearsal, whose phases are those meant for them.
    """

    kind: Literal["untrained"] = "untrained"
    model: SamModel = "vit_b"
    stands_in: bool = False

    @property
    def image_size(self) -> int:
        """Side of the square images it takes, in pixels."""
        return IMAGE_SIZE

    @property
    def random(self) -> bool:
        """Are the weights untrained, and to be treated so?"""
        return not self.stands_in

    def missing(self) -> str:
        """Nothing ever is."""
        return ""

    def weight_files(self) -> dict[str, Path]:
        """It reads none."""
        return {}

    def untrained(self) -> "UntrainedSam":
        """It never was trained."""
        return self

    def build(self) -> "SamTower":
        """Build the model with weights from torch's current generator."""
        from components.core.models.sam_build import build_untrained

        return build_untrained(self)


SamConfig: TypeAlias = Annotated[CheckpointSam | TinySam | UntrainedSam, Field(discriminator="kind")]
