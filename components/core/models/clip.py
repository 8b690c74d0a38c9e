"""One adapter over open_clip's CustomTextCLIP: the vision tower in pieces, the joint space, and the text tower."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from open_clip import CustomTextCLIP
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from components.core.errors import BadInput
from components.core.models.clip_config import CLIP_MEAN, CLIP_STD

Tokeniser: TypeAlias = Callable[[Sequence[str]], Tensor]


class ClipTower(nn.Module):
    """A CLIP whose image tower is a timm vision transformer with one class token.

    Legend: n = 1 + grid^2 tokens (class token first), d = width of a token, j = dimension of the joint space.

    Args:
        model: Its `visual.trunk` is a timm VisionTransformer, `visual.head` the projection to the joint space.
        tokenise: Texts to token ids [n, context].
        image_size: Side of the square images, in pixels.

    Raises:
        BadInput: The model has no such tower, or was trained with another normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: CustomTextCLIP, tokenise: Tokeniser, image_size: int) -> None:
        super().__init__()
        self.model = model
        self.tokenise = tokenise
        self.image_size = image_size
        _require_vision_transformer(model)
        self.register_buffer("mean", torch.tensor(CLIP_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD)[:, None, None], persistent=False)

    @property
    def trunk(self) -> Any:
        """The timm vision transformer."""
        return self.model.visual.trunk

    @property
    def depth(self) -> int:
        """Number of vision blocks."""
        return len(self.trunk.blocks)

    @property
    def width(self) -> int:
        """Channels of a vision token."""
        return int(self.trunk.embed_dim)

    @property
    def grid(self) -> int:
        """Patch tokens per side."""
        return int(self.trunk.patch_embed.grid_size[0])

    @property
    def patch(self) -> int:
        """Pixels per side of a patch."""
        return self.image_size // self.grid

    @property
    def joint(self) -> int:
        """Dimension of the joint space."""
        return int(self.model.visual.head.proj.out_features)

    def embed(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b n d"]:
        """Tokens entering block 0 of a normalised image."""
        trunk = self.trunk
        tokens: Tensor = trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(image))))
        return tokens

    def blocks(self, tokens: Float[Tensor, "b n d"], start: int, stop: int) -> Float[Tensor, "b n d"]:
        """Tokens entering block `start` to tokens entering block `stop` (leaving the tower if that is the depth)."""
        for block in self.trunk.blocks[start:stop]:
            if self.trunk.grad_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens

    def entering(self, image: Float[Tensor, "b 3 s s"], block: int) -> Float[Tensor, "b n d"]:
        """Tokens of an image entering a block."""
        return self.blocks(self.embed(image), 0, block)

    def norm(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The tower's final norm."""
        normed: Tensor = self.trunk.norm(tokens)
        return normed

    def project(self, tokens: Float[Tensor, "*b d"]) -> Float[Tensor, "*b j"]:
        """Normed tokens to the joint space, on the unit sphere."""
        return F.normalize(self.model.visual.head(tokens), dim=-1)

    def text(self, ids: Int[Tensor, "n context"]) -> Float[Tensor, "n j"]:
        """Token ids to the joint space, on the unit sphere."""
        embedded: Tensor = self.model.encode_text(ids, normalize=True)
        return embedded

    def unnormalise(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """A normalised image back to RGB in [0, 1]."""
        return image * self.std + self.mean


def normalise(image: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """RGB in [0, 1] to what CLIP is fed with."""
    return (image - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]


def _require_vision_transformer(model: nn.Module) -> None:
    trunk = getattr(getattr(model, "visual", None), "trunk", None)
    head = getattr(getattr(model, "visual", None), "head", None)
    if trunk is None or not hasattr(trunk, "blocks") or not isinstance(getattr(head, "proj", None), nn.Linear):
        raise BadInput(
            "the CLIP has no timm vision transformer with a linear projection",
            where="clip",
            remedy="use BiomedCLIP or another open_clip model with timm_model_name vit_* and timm_proj linear",
        )
    if trunk.num_prefix_tokens != 1:
        raise BadInput("the vision transformer must have exactly one class token", where="clip", remedy="use vit_base")
