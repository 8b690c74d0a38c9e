"""The model of ct_abnormality as values (no torch here)."""

from typing import Literal

from pydantic import Field, field_validator

from components.core.config import Values
from components.core.models.backbone_config import BackboneConfig
from components.recipes.ct_abnormality.aggregation_config import AggregationConfig, GatedAttention
from components.recipes.ct_abnormality.attention_config import AttentionConfig, NoAttention
from components.recipes.ct_abnormality.objectives import Objectives


class ModelConfig(Values):
    """The whole model: slices through a backbone, attention on each one's map, their vectors to a volume's labels.

    Attributes:
        backbone: Any model of timm, by name: `resnet50`, `resnet101`, `efficientnet_b0`, `convnext_tiny`, ...
        image_size: Side of the square slices it sees, pixels.
        slices: Slices of a volume that it sees, spread evenly over those that were prepared; of fewer, some come twice.
        multiscale: Earlier groups of layers whose maps are added to the last one before the attention.
        attention: On the map of each slice: `none`, `se`, `cbam` or `medical`.
        pool: From map to vector: the mean over its places, their maximum, or both.
        aggregation: From the vectors of the slices to the volume's labels.
        objectives: Constants of the loss terms.
        keep_mb: Features of frozen layers above this size per volume and view, 10^6 bytes, are computed in every step
            instead of kept: reading them back would take longer, and fill the disk.
    """

    backbone: BackboneConfig = BackboneConfig(name="resnet50")
    image_size: int = Field(default=224, ge=16)
    slices: int = Field(default=32, ge=1)
    multiscale: tuple[Literal["early", "stage2", "stage3"], ...] = ()
    attention: AttentionConfig = NoAttention()
    pool: Literal["mean", "max", "both"] = "mean"
    aggregation: AggregationConfig = GatedAttention()
    objectives: Objectives = Objectives()
    keep_mb: float = Field(default=16.0, ge=0)

    @field_validator("multiscale")
    @classmethod
    def _levels_differ(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(groups)) < len(groups):
            raise ValueError(f"a group is named twice in {list(groups)}")
        return groups
