"""The model of hvit as values (no torch here)."""

from pydantic import Field, model_validator

from components.core.config import Values
from components.core.models.backbone_config import BackboneConfig
from components.core.models.dfca_config import DfcaConfig
from components.core.models.second_stream_config import SecondStreamConfig, WaveletBands
from components.recipes.hvit.objectives import Objectives


class ModelConfig(Values):
    """The whole model: backbone, DFCA with its second stream, head. The head has as many rows as the data classes.

    Attributes:
        backbone: Any classifier of timm, by name.
        image_size: Side of the square pictures it sees, pixels.
        use_dfca: Lets the backbone's tokens attend to the second stream before they are pooled.
        dfca: That attention.
        second_stream: What DFCA attends to, derived from the picture; without DFCA there is none.
    """

    backbone: BackboneConfig = BackboneConfig()
    image_size: int = Field(default=256, ge=16)
    use_dfca: bool = True
    dfca: DfcaConfig = DfcaConfig()
    second_stream: SecondStreamConfig = WaveletBands()
    objectives: Objectives = Objectives()

    @model_validator(mode="after")
    def _dfca_has_something_to_attend_to(self) -> "ModelConfig":
        if self.use_dfca and self.second_stream.kind == "none":
            raise ValueError(
                "use_dfca is true but second_stream is none: DFCA would have nothing to attend to; choose a second"
                " stream, or set use_dfca: false"
            )
        return self
