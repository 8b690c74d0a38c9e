"""The model of freqmedclip as values (no torch here)."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from components.core.config import Values
from components.core.models.clip_config import ClipConfig, HubClip
from components.core.models.sam_config import SamConfig


class Late(Values):
    """Frequencies join the patch tokens after the tower: everything before is cached while the tower is frozen."""

    kind: Literal["late"] = "late"


class Early(Values):
    """Frequencies join the patch tokens before a block: the cached prefix ends there.

    Attributes:
        block: Index of the first block that sees them.
    """

    kind: Literal["early"] = "early"
    block: int = Field(ge=0)


Injection: TypeAlias = Annotated[Late | Early, Field(discriminator="kind")]


class Prompting(Values):
    """How a saliency map becomes prompts for SAM.

    Attributes:
        binarise: A fixed threshold, Otsu's, or two-means, on the probability.
        threshold: Of `fixed`, and of the other two on a flat map, which has no two classes.
        components: Largest connected components kept; each gets a box or point, their masks are merged by maximum.
        min_area: Smaller components are dropped (fraction of the image).
        geometry: Sparse prompts besides the dense one.
    """

    binarise: Literal["fixed", "otsu", "kmeans"] = "fixed"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    components: int = Field(default=1, ge=1, le=16)
    min_area: float = Field(default=0.0, ge=0, lt=1)
    geometry: Literal["boxes", "points", "both"] = "boxes"


class M2ibConfig(Values):
    """Multi-modal information bottleneck (Wang et al. 2023) at one vision block.

    Attributes:
        block: The bottleneck follows this block (7 to 9 of BiomedCLIP's 12); must exist in the tower.
        beta: Weight of the information that passes.
        variance: Of the noise, s^2.
        rate: Adam's learning rate.
        copies: Noise draws per step.
    """

    block: int = Field(default=9, ge=0)
    beta: float = Field(default=1.0, ge=0)
    variance: float = Field(default=1.0, gt=0)
    rate: float = Field(default=1.0, gt=0)
    steps: int = Field(default=10, ge=1)
    copies: int = Field(default=10, ge=1)
    initial: float = 5.0
    seed: int = Field(default=0, ge=0)


class Objectives(Values):
    """Constants of the loss terms.

    Attributes:
        alpha_low: Below it the hinge pulls the fusion weight up.
        alpha_high: Above it the hinge pulls the fusion weight down.
        tau: Temperature of the contrastive term.
        beta: Hardness of its negatives.
    """

    alpha_low: float = 0.05
    alpha_high: float = 0.4
    tau: float = Field(default=0.6, gt=0)
    beta: float = Field(default=0.15, ge=0)


class ModelConfig(Values):
    """The whole model.

    Attributes:
        image_size: Side of CLIP's square images, in pixels.
        wavelet: Orthogonal wavelet of PyWavelets.
        wavelet_scale: Fixed factor on the high-frequency picture.
        alpha: Fusion weight at the start.
        refine_stride: The refine head works at 1 / this of the image size.
        refine_width: Its channels.
        checkpoint_blocks: Recompute vision blocks in the backward pass, to save memory.
    """

    clip: ClipConfig = HubClip()
    sam: SamConfig
    image_size: int = Field(default=224, ge=16)
    wavelet: str = "haar"
    wavelet_scale: float = Field(default=4.0, gt=0)
    injection: Injection = Late()
    alpha: float = 0.1
    refine_stride: Literal[2, 4] = 2
    refine_width: int = Field(default=32, ge=8, multiple_of=8)
    checkpoint_blocks: bool = False
    prompting: Prompting = Prompting()
    objectives: Objectives = Objectives()
    m2ib: M2ibConfig = M2ibConfig()

    @model_validator(mode="after")
    def _image_size_divides(self) -> "ModelConfig":
        if self.image_size % self.refine_stride:
            raise ValueError(f"image_size {self.image_size} is not a multiple of refine_stride {self.refine_stride}")
        return self
