"""Where SAM's numbers meet segment_anything's classes."""

from functools import partial

import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from components.core.models.importing import load_into
from components.core.models.sam import SamTower
from components.core.models.sam_config import SAM_MEAN, SAM_STD, CheckpointSam, TinySam, UntrainedSam

DECODER_HEADS = 8


def build_checkpoint(config: CheckpointSam) -> SamTower:
    """A registry model with the weights of a file.

    Raises:
        BadInput: The file cannot be read safely or does not fit exactly.
    """
    sam = sam_model_registry[config.model]()
    load_into(sam, config.file)
    return SamTower(sam.train())


def build_untrained(config: UntrainedSam) -> SamTower:
    """A registry model with weights from torch's current generator."""
    return SamTower(sam_model_registry[config.model]().train())


def sam_on_meta(model: str) -> Sam:
    """A registry model without storage: its key names and shapes, for imports."""
    with torch.device("meta"):
        return sam_model_registry[model]()


def build_tiny(config: TinySam) -> SamTower:
    """A small SAM of the same classes, every block attending globally."""
    grid, width = config.image_size // config.patch, config.prompt_width
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        out_chans=width,
        use_rel_pos=True,
    )
    if encoder.pos_embed is not None:
        nn.init.trunc_normal_(encoder.pos_embed, std=0.02)
    prompts = PromptEncoder(
        embed_dim=width,
        image_embedding_size=(grid, grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        transformer_dim=width,
        transformer=TwoWayTransformer(depth=2, embedding_dim=width, num_heads=DECODER_HEADS, mlp_dim=2 * width),
        iou_head_hidden_dim=width,
    )
    return SamTower(Sam(encoder, prompts, decoder, pixel_mean=list(SAM_MEAN), pixel_std=list(SAM_STD)))
