"""Ways to get a CLIP, as values (no torch here).

Each says what is `missing` on this machine before it can be built without a network, and what the same architecture
is `untrained`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from components.core.config import Values

if TYPE_CHECKING:
    from components.core.models.clip import ClipTower

BIOMEDCLIP = "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
"""Mean of red, green and blue (of 1) that every CLIP here is fed with; a model that says otherwise is refused."""
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class HubClip(Values):
    """A pretrained open_clip model fetched by name (needs a network or a filled download cache).

    Attributes:
        name: `hf-hub:` name of a model with a timm vision transformer and a separate text tower.
        revision: Commit of the model's repository, all 40 digits: these very files and no later ones. None takes the
            newest, which may be others tomorrow.
    """

    kind: Literal["hub"] = "hub"
    name: str = Field(default=BIOMEDCLIP, pattern="^hf-hub:.+")
    revision: str | None = Field(default=None, pattern="^[0-9a-f]{40}$")

    def missing(self) -> str:
        """Why it cannot be built from the download cache alone; empty where it can."""
        from components.core.models.clip_build import is_downloaded

        return "" if is_downloaded(self) else f"{self.name} is not in the download cache"

    def weight_files(self) -> dict[str, Path]:
        """None that has a place of its own: what the hub's files are is for `revision` to say."""
        return {}

    def untrained(self) -> "UntrainedClip":
        """BiomedCLIP's architecture: the only one whose description is bundled."""
        return UntrainedClip()

    def build(self, image_size: int) -> "ClipTower":
        """Build the tower for square images of `image_size` pixels."""
        from components.core.models.clip_build import build_hub

        return build_hub(self, image_size)


class LocalClip(Values):
    """A pretrained open_clip model from a folder, never touching the network.

    Attributes:
        folder: Holds `open_clip_config.json`, the weights and the tokeniser's files; the text tower's own
            `config.json` lies in it, in the folder its config names, or is the bundled one of PubMedBERT.
        weights: File of the weights; None takes the folder's only one.
    """

    kind: Literal["local"] = "local"
    folder: Path
    weights: Path | None = None

    def missing(self) -> str:
        """Why it cannot be built; empty where it can."""
        return "" if self.folder.is_dir() else f"there is no folder {self.folder}"

    def weight_files(self) -> dict[str, Path]:
        """Everything it is built from, by key."""
        return {"folder": self.folder, **({"weights": self.weights} if self.weights is not None else {})}

    def untrained(self) -> "UntrainedClip":
        """BiomedCLIP's architecture: the only one whose description is bundled."""
        return UntrainedClip()

    def build(self, image_size: int) -> "ClipTower":
        """Build the tower for square images of `image_size` pixels."""
        from components.core.models.clip_build import build_local

        return build_local(self, image_size)


class TinyClip(Values):
    """A small random CLIP: a vision transformer on a convolutional stem, and a text tower over a bundled vocabulary.

    Attributes:
        width: Channels of a vision token.
        depth: Vision blocks.
        patch: Pixels per token side, a power of two (one stride-2 convolution each).
        joint: Dimension of the joint space.
    """

    kind: Literal["tiny"] = "tiny"
    width: int = Field(default=64, ge=32, multiple_of=32)
    depth: int = Field(default=4, ge=1)
    heads: int = Field(default=4, ge=1)
    patch: Literal[4, 8, 16, 32] = 8
    joint: int = Field(default=64, ge=8)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> "TinyClip":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    def missing(self) -> str:
        """Nothing ever is."""
        return ""

    def weight_files(self) -> dict[str, Path]:
        """It reads none."""
        return {}

    def untrained(self) -> "TinyClip":
        """It never was trained."""
        return self

    def build(self, image_size: int) -> "ClipTower":
        """Build the tower for square images of `image_size` pixels."""
        from components.core.models.clip_tiny import build_tiny

        return build_tiny(self, image_size)


class UntrainedClip(Values):
    """BiomedCLIP's architecture with random weights and the bundled vocabulary: its times and memory, no meaning."""

    kind: Literal["untrained"] = "untrained"

    def missing(self) -> str:
        """Nothing ever is."""
        return ""

    def weight_files(self) -> dict[str, Path]:
        """It reads none."""
        return {}

    def untrained(self) -> "UntrainedClip":
        """It never was trained."""
        return self

    def build(self, image_size: int) -> "ClipTower":
        """Build the tower for square images of `image_size` pixels, weights from torch's current generator."""
        from components.core.models.clip_build import build_untrained

        return build_untrained(image_size)


ClipConfig: TypeAlias = Annotated[HubClip | LocalClip | TinyClip | UntrainedClip, Field(discriminator="kind")]
