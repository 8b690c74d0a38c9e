"""The tiny CLIP: the same classes and the same path through the code as the real one, with random weights."""

import json
import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from open_clip import CustomTextCLIP
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.clip_config import TinyClip
from components.core.models.wordpiece import END, PAD, START, UNKNOWN, WordPiece

TEXT = Path(__file__).parent / "bundled" / "tiny_text.json"
GROUP = 16
"""Channels per group of the stem's norms."""

SHARED_PIECES = (PAD, UNKNOWN, START, END, *".,a", "an", "the", "of", "in", "on", "at", "with", "and", "is", "this")
"""Pieces that carry no meaning of their own."""


class ConvStem(nn.Module):
    """Patch embedding by stride-2 convolutions with group norm and GELU (Xiao et al. 2021, Early Convolutions).

    A drop-in for timm's PatchEmbed. Kernels of 4, so that a token's receptive field is centred on its patch. Group
    norm, because a batch norm would let one sample's tokens depend on the others of its batch.
    """

    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **_: Any) -> None:
        super().__init__()
        steps = int(math.log2(patch_size))
        widths = [in_chans, *(max(embed_dim >> (steps - 1 - step), GROUP) for step in range(steps))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            convolution = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
            layers += [convolution, nn.GroupNorm(after // GROUP, after), nn.GELU()]
        self.layers = nn.Sequential(*layers)
        self.grid_size = (img_size // patch_size,) * 2
        self.num_patches = self.grid_size[0] ** 2

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b n d"]:
        """Image to patch tokens, row by row."""
        tokens: Tensor = self.layers(image).flatten(2).transpose(1, 2)
        return tokens


class TinyVisual(nn.Module):
    """Vision tower with the attributes of open_clip's TimmModel: `trunk` and `head.proj`."""

    def __init__(self, config: TinyClip, image_size: int) -> None:
        super().__init__()
        self.trunk = VisionTransformer(
            img_size=image_size,
            patch_size=config.patch,
            embed_dim=config.width,
            depth=config.depth,
            num_heads=config.heads,
            num_classes=0,
            embed_layer=partial(ConvStem),
        )
        self.head = nn.Sequential()
        self.head.add_module("proj", nn.Linear(config.width, config.joint, bias=False))

    def forward(self, image: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b j"]:
        """Image to the joint space."""
        embedded: Tensor = self.head(self.trunk(image))
        return embedded


def build_tiny(config: TinyClip, image_size: int) -> ClipTower:
    """Build a tiny CLIP with weights from torch's current generator.

    Raises:
        BadInput: The image is no multiple of the patch.
    """
    if image_size % config.patch:
        raise BadInput(
            f"image_size {image_size} is not a multiple of the patch {config.patch}",
            where="clip.patch",
            remedy="choose image_size as a multiple of the patch",
        )
    text = json.loads(TEXT.read_text(encoding="utf-8"))
    tokenise = WordPiece(text["context_length"])
    # CustomTextCLIP wants to build an image tower by name; the smallest one is built and at once replaced.
    placeholder = {"layers": 1, "width": 32, "head_width": 32, "patch_size": 16, "image_size": 16}
    model = CustomTextCLIP(config.joint, placeholder, {**text, "vocab_size": tokenise.size})
    model.visual = TinyVisual(config, image_size)
    _spread_texts(model, tokenise)
    return ClipTower(model, tokenise, image_size)


@torch.no_grad()
def _spread_texts(model: CustomTextCLIP, tokenise: WordPiece) -> None:
    """Make a random text tower tell texts apart.

    As initialised, what all texts share (positions, start and end, function words) outweighs what they say, and
    random attention looks at one token by chance. Here attention starts as a mean over the content words: a zero
    token stays zero through the block's norm.
    """
    nn.init.zeros_(model.text.positional_embedding)
    embedding = model.text.token_embedding.weight
    nn.init.normal_(embedding)
    for piece in SHARED_PIECES:
        nn.init.zeros_(embedding[tokenise.ids[piece]])
    for block in model.text.transformer.resblocks:
        nn.init.zeros_(block.attn.in_proj_weight[: 2 * block.attn.embed_dim])
