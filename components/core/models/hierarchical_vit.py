"""HierarchicalViT: four levels of vision transformer blocks that attend globally, merged 2x2 in between.

`hierarchical_vit_variants` makes it known to timm's registry, as `hvit_small` and in other sizes.

One learnt position embedding is added to the patch tokens, for the grid of the first level: the levels below see merged
tokens, which carry it. It is resampled (bicubic) when weights are loaded into a model of another image size and by
`set_input_size`, never while training: the gradient of bicubic resampling has no deterministic CUDA kernel.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from timm.layers.classifier import NormMlpClassifierHead
from timm.layers.drop import calculate_drop_path_rates
from timm.layers.helpers import to_2tuple
from timm.layers.norm import LayerNorm2d
from timm.layers.patch_embed import PatchEmbed
from timm.layers.pos_embed import resample_abs_pos_embed_nhwc
from timm.layers.weight_init import trunc_normal_
from timm.models._features import feature_take_indices
from timm.models._manipulate import checkpoint_seq
from timm.models.swin_transformer import PatchMerging
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from components.core.errors import BadInput

STD = 0.02
"""Of the truncated normal that weights start from."""

MLP_RATIO = 4.0
"""Width of a block's MLP over the block's own."""

POSITION = "position.grid"
"""Name of the position embedding, [1, h, w, c]."""


class PositionEmbedding(nn.Module):
    """A learnt vector per place of a grid."""

    def __init__(self, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.zeros(1, height, width, dim))
        trunc_normal_(self.grid, std=STD)

    def forward(self, tokens: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Add it."""
        return tokens + self.grid


class GridBlock(nn.Module):
    """A vision transformer block over all places of a grid."""

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.block = Block(dim, heads, mlp_ratio=MLP_RATIO, qkv_bias=True, drop_path=drop_path)

    def forward(self, tokens: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend from every place to every place of the same sample."""
        _, height, width, _ = tokens.shape
        mixed: Tensor = self.block(tokens.flatten(1, 2))
        return mixed.reshape(len(tokens), height, width, -1)


class Level(nn.Module):
    """Blocks of one resolution, after the 2x2 merge that leads to it.

    Args:
        before: Channels of the level above; None for the first level, which merges nothing.
        drop_paths: Drop-path rate of each block.
    """

    def __init__(self, before: int | None, dim: int, heads: int, drop_paths: Sequence[float]) -> None:
        super().__init__()
        self.merge = nn.Identity() if before is None else PatchMerging(before, dim)
        self.blocks = nn.Sequential(*(GridBlock(dim, heads, rate) for rate in drop_paths))
        self.grad_checkpointing = False

    def forward(self, tokens: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c2"]:
        """Merge, then attend."""
        tokens = self.merge(tokens)
        if self.grad_checkpointing and self.training:
            mixed: Tensor = checkpoint_seq(self.blocks, tokens, use_reentrant=False)
        else:
            mixed = self.blocks(tokens)
        return mixed


class HierarchicalViT(nn.Module):
    """Hierarchical vision transformer with the interface of timm's models.

    Merging is Swin's (Liu et al. 2021, section 3.1), blocks are ViT's (Dosovitskiy et al. 2021), drop-path rises
    linearly over the blocks (Huang et al. 2016). The head is global average pooling, LayerNorm, Linear.

    Args:
        img_size: Side of the square (or height and width), a multiple of `patch_size` times 2 per merge.
        patch_size: Pixels per side of a token of the first level.
        dims: Channels by level.
        depths: Blocks by level.
        heads: Attention heads by level.
        drop_rate: Dropout before the classifier.
        drop_path_rate: Of the last block.

    Raises:
        BadInput: Sizes that do not divide.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 256,
        patch_size: int = 16,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        height, width = to_2tuple(img_size)
        self._merges = len(dims) - 1
        _require_levels(dims, depths, heads)
        _require_divisible(height, width, patch_size, self._merges)
        self.num_classes, self.in_chans = num_classes, in_chans
        self.num_features = self.head_hidden_size = self.embed_dim = dims[-1]
        self.output_fmt = "NHWC"
        self.feature_info = [
            {"num_chs": dim, "reduction": patch_size * 2**level, "module": f"levels.{level}"}
            for level, dim in enumerate(dims)
        ]
        self.patch_embed = PatchEmbed((height, width), patch_size, in_chans, dims[0], output_fmt="NHWC")
        self.position = PositionEmbedding(height // patch_size, width // patch_size, dims[0])
        rates: Any = calculate_drop_path_rates(drop_path_rate, list(depths), stagewise=True)
        above = (None, *dims[:-1])
        self.levels = nn.Sequential(
            *(
                Level(before, dim, count, drops)
                for before, dim, count, drops in zip(above, dims, heads, rates, strict=True)
            )
        )
        self.head = NormMlpClassifierHead(
            dims[-1], num_classes, pool_type=global_pool, drop_rate=drop_rate, norm_layer=LayerNorm2d
        )
        self.apply(_initialise)

    def forward_features(self, x: Float[Tensor, "b 3 s t"]) -> Float[Tensor, "b h w c"]:
        """Picture to the map of the last level, channels last."""
        mixed: Tensor = self.levels(self.position(self.patch_embed(x)))
        return mixed

    def forward_head(self, x: Float[Tensor, "b h w c"], pre_logits: bool = False) -> Tensor:
        """Map of the last level to logits [b, classes], or to the vector before the classifier."""
        pooled: Tensor = self.head(x.permute(0, 3, 1, 2), pre_logits=pre_logits)
        return pooled

    def forward(self, x: Float[Tensor, "b 3 s t"]) -> Tensor:
        """Picture to logits."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Float[Tensor, "b 3 s t"],
        indices: Any = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Maps [b, c, h, w] of chosen levels, beside the last one: what timm's `features_only` reads.

        Args:
            indices: Numbers of the levels to take; one number takes that many last ones, None all.
            norm: Accepted for timm's sake: there is no norm between the last level and the pooling.
            stop_early: Leave out the levels below the last one taken.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"maps are given as NCHW only, not {output_fmt}")
        taken, last = feature_take_indices(len(self.levels), indices)
        maps, tokens = [], self.position(self.patch_embed(x))
        for index, level in enumerate(list(self.levels)[: last + 1 if stop_early else None]):
            tokens = level(tokens)
            if index in taken:
                maps.append(tokens.permute(0, 3, 1, 2).contiguous())
        return maps if intermediates_only else (tokens, maps)

    def prune_intermediate_layers(
        self, indices: Any = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the levels below the last one taken, and the head."""
        taken, last = feature_take_indices(len(self.levels), indices)
        self.levels = nn.Sequential(*list(self.levels)[: last + 1])
        self.num_features = self.feature_info[last]["num_chs"]
        if prune_head:
            self.head.reset(0, reset_other=True)
        return taken

    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Take pictures of another size: the position embedding is resampled.

        Raises:
            BadInput: The size does not divide.
        """
        height, width = to_2tuple(img_size)
        _require_divisible(height, width, self.patch_embed.patch_size[0], self._merges)
        self.patch_embed.set_input_size(img_size=(height, width))
        resampled = resample_abs_pos_embed_nhwc(self.position.grid.data, list(self.patch_embed.grid_size))
        self.position.grid = nn.Parameter(resampled.contiguous())

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass instead of keeping what happened inside them."""
        for level in (module for module in self.modules() if isinstance(module, Level)):
            level.grad_checkpointing = enable

    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Another number of classes (0: none) with new weights; the norm before it stays."""
        self.num_classes = num_classes
        self.head.reset(num_classes, pool_type=global_pool)
        self.head.fc.apply(_initialise)

    def no_weight_decay(self) -> set[str]:
        """Names of matrices that should not decay."""
        return {POSITION}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Regular expressions from names to depth, for layer-wise learning rates."""
        fine = [(r"^levels\.(\d+)\.merge", (0,)), (r"^levels\.(\d+)\.blocks\.(\d+)", None)]
        return {"stem": r"^patch_embed|^position", "blocks": r"^levels\.(\d+)" if coarse else fine}


def _require_levels(dims: Sequence[int], depths: Sequence[int], heads: Sequence[int]) -> None:
    if not len(dims) == len(depths) == len(heads) or any(d % h for d, h in zip(dims, heads, strict=False)):
        raise BadInput(
            f"dims {list(dims)}, depths {list(depths)} and heads {list(heads)} do not go together",
            where="HierarchicalViT",
            remedy="give one of each per level, and dims that are multiples of their heads",
        )


def _require_divisible(height: int, width: int, patch: int, merges: int) -> None:
    step = patch * 2**merges
    if height % step or width % step:
        raise BadInput(
            f"an image of {height}x{width} cannot be cut into patches of {patch} that are merged {merges} times",
            where="image_size of HierarchicalViT",
            remedy=f"choose a multiple of {step}",
        )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        trunc_normal_(module.weight, std=STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def resample_positions(state: dict[str, Tensor], model: HierarchicalViT) -> dict[str, Tensor]:
    """Fit the position embedding of foreign weights to a model's grid."""
    if POSITION in state:
        state = {**state, POSITION: resample_abs_pos_embed_nhwc(state[POSITION], list(model.patch_embed.grid_size))}
    return state


checkpoint_filter_fn = resample_positions
"""By the name under which timm's own model files keep it."""
