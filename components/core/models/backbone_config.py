"""Ways to get an image backbone, as values (no torch here)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from components.core.config import Values

if TYPE_CHECKING:
    from components.core.models.backbone import Backbone

RESERVED = {
    "checkpoint_path": "file",
    "drop_path_rate": "drop_path",
    "features_only": "",
    "img_size": "the recipe's image_size",
    "in_chans": "",
    "model_name": "name",
    "num_classes": "",
    "pretrained": "pretrained",
    "pretrained_cfg": "name with its tag",
    "pretrained_cfg_overlay": "file",
}
"""Arguments of timm that are decided elsewhere, and where."""


class BackboneConfig(Values):
    """Any model of timm, HierarchicalViT (`hvit_micro` to `hvit_base`) included, without its classifier.

    Attributes:
        name: Name in timm's registry; with its tag (`resnet50.a1_in1k`) where `pretrained` should take other weights
            than timm's default ones.
        pretrained: Take timm's weights: fetched when first built (needs a network or a filled download cache).
        file: Weights of this very model with timm's tensor names, as `.safetensors` or a plain state dict; a
            classifier in it is left out.
        arguments: Further arguments of the timm model (`dims`, `window_size`, `output_stride`, ...).
        drop_path: Rate of stochastic depth of the last block, rising linearly from the first one's 0.
        grad_checkpointing: Keep only the layers' inputs and compute what is inside them again in the backward pass:
            less memory, about a third more time, the same gradients.
    """

    name: str = Field(default="hvit_small", min_length=1)
    pretrained: bool = False
    file: Path | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    drop_path: float = Field(default=0.0, ge=0.0, lt=1.0)
    grad_checkpointing: bool = False

    @model_validator(mode="after")
    def _arguments_are_the_models_own(self) -> "BackboneConfig":
        taken = sorted(set(self.arguments) & set(RESERVED))
        if taken:
            hints = [f"{name} ({RESERVED[name]})" if RESERVED[name] else name for name in taken]
            raise ValueError(f"decided elsewhere, not by arguments: {', '.join(hints)}")
        if self.pretrained and self.file is not None:
            raise ValueError("weights come from timm (pretrained) or from a file, not from both")
        return self

    @property
    def random(self) -> bool:
        """Does it start from random weights?"""
        return not self.pretrained and self.file is None

    def missing(self) -> str:
        """Why it cannot be built on this machine without a network; empty where it can."""
        if self.file is not None and not self.file.is_file():
            return f"there is no file {self.file}"
        if not self.pretrained:
            return ""
        from components.core.models.backbone_build import is_downloaded

        return "" if is_downloaded(self.name) else f"timm's weights of {self.name} are not in the download cache"

    def weight_files(self) -> dict[str, Path]:
        """What it is built from, by key; what timm's own files are is for the name's tag to say."""
        return {} if self.file is None else {"file": self.file}

    def untrained(self) -> "BackboneConfig":
        """The same architecture with random weights."""
        return self.model_copy(update={"pretrained": False, "file": None})

    def build(self, image_size: int, seed: int) -> "Backbone":
        """Build it for square pictures of `image_size` pixels: a pure function of the values and the seed.

        Raises:
            BadInput: Naming the key: an unknown model, weights that do not fit, a size it cannot take.
            Temporary: The weights cannot be fetched now.
        """
        from components.core.models.backbone_build import build

        return build(self, image_size, seed)
