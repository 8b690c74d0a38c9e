"""FreqMedClip: image and text to a saliency map, saliency to prompts, prompts to SAM's mask."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.layer_groups import BACKBONE_GROUPS, HEAD, block_group
from components.core.models.sam import SamTower
from components.core.models.wavelet import WaveletStream
from components.recipes.freqmedclip.gate import FeatureFusionGate
from components.recipes.freqmedclip.maps import NOTHING
from components.recipes.freqmedclip.model_config import Early, ModelConfig
from components.recipes.freqmedclip.projection import HighFreqProjection
from components.recipes.freqmedclip.prompts import propose
from components.recipes.freqmedclip.saliency_head import SaliencyHead


@dataclass(frozen=True)
class Saliency:
    """What the frequency-aware CLIP says of a batch.

    Attributes:
        coarse: Logits on the token grid, [b, 1, g, g].
        refined: Logits at 1 / refine_stride of the image, [b, 1, r, r].
        image: Projected class token in the joint space, unit length, [b, j].
    """

    coarse: Tensor
    refined: Tensor
    image: Tensor


class FreqMedClip(nn.Module):
    """The whole model; parts are separate modules, so that phases can train them apart.

    Legend: s = image size, n = 1 + g^2 tokens of width d (class token first), j = joint dimension, r = refined size,
    e and a = channels and side of SAM's embedding, m = side of its masks.

    Raises:
        BadInput: The early injection names a block that the tower has not.
    """

    def __init__(self, config: ModelConfig, clip: ClipTower, sam: SamTower) -> None:
        super().__init__()
        self.prompting = config.prompting
        self.clip = clip
        self.sam = sam
        self.injection = injection_block(config, clip.depth)
        self.wavelet = WaveletStream(config.wavelet, config.wavelet_scale)
        self.freq_projection = HighFreqProjection(clip.width, clip.patch)
        self.fusion_gate = FeatureFusionGate(clip.width, config.alpha)
        self.saliency_head = SaliencyHead(clip.joint, config.refine_width, config.image_size // config.refine_stride)
        clip.trunk.set_grad_checkpointing(config.checkpoint_blocks)

    def saliency(
        self,
        image: Float[Tensor, "b 3 s s"],
        text: Float[Tensor, "b j"],
        tokens: Float[Tensor, "b n d"] | None = None,
        block: int = 0,
    ) -> Saliency:
        """Saliency of the prompt in the image.

        Args:
            image: Normalised for CLIP.
            text: Prompts in the joint space, unit length.
            tokens: Of these images, entering block `block`; None computes them from the images.
            block: At most the injection's block.

        Raises:
            ValueError: The tokens come from behind the injection.
        """
        if block > self.injection:
            raise ValueError(f"tokens entering block {block} have passed the injection before block {self.injection}")
        bands = self.wavelet.bands(self.clip.unnormalise(image))
        high = F.interpolate(bands, image.shape[-2:], mode="bilinear", align_corners=False)
        frequencies = self.freq_projection(high)
        if tokens is None:
            tokens, block = self.clip.embed(image), 0
        tokens = self.clip.blocks(tokens, block, self.injection)
        if self.injection == self.clip.depth:
            tokens = self._fuse(self.clip.norm(tokens), frequencies)
        else:
            tokens = self.clip.blocks(self._fuse(tokens, frequencies), self.injection, self.clip.depth)
            tokens = self.clip.norm(tokens)
        projected = self.clip.project(tokens)
        coarse, refined = self.saliency_head(projected[:, 1:], text, bands)
        return Saliency(coarse, refined, projected[:, 0])

    def _fuse(self, tokens: Float[Tensor, "b n d"], frequencies: Float[Tensor, "b p d"]) -> Float[Tensor, "b n d"]:
        return torch.cat([tokens[:, :1], self.fusion_gate(tokens[:, 1:], frequencies)], dim=1)

    def masks(
        self, embedding: Float[Tensor, "b e a a"], refined: Float[Tensor, "b 1 r r"], *, training: bool
    ) -> Float[Tensor, "b 1 m m"]:
        """SAM's mask logits for the prompts that a saliency map gives, merged by maximum.

        Args:
            embedding: SAM's image embedding.
            refined: Saliency logits; gradients reach them through the dense prompt only.
            training: An empty saliency takes the whole image as its box; at inference its mask is empty.
        """
        boxes, points, empty = self.prompts(refined)
        geometry = self.prompting.geometry
        logits = self.sam.decode(
            embedding, refined, boxes if geometry != "points" else None, points if geometry != "boxes" else None
        ).amax(dim=1, keepdim=True)
        if training:
            return logits
        return torch.where(empty[:, None, None, None], torch.full_like(logits, NOTHING), logits)

    def prompts(
        self, refined: Float[Tensor, "b 1 r r"]
    ) -> tuple[Float[Tensor, "b k 4"], Float[Tensor, "b k 2"], Bool[Tensor, "b"]]:
        """Boxes, points (pixels of SAM's image), and which saliency maps are empty."""
        maps = refined.detach().float().sigmoid()[:, 0].cpu().numpy()
        found = [propose(one, self.prompting, self.sam.image_size) for one in maps]
        boxes = torch.from_numpy(np.stack([one.boxes for one in found]))
        points = torch.from_numpy(np.stack([one.points for one in found]))
        empty = torch.tensor([one.empty for one in found])
        return boxes.to(refined.device), points.to(refined.device), empty.to(refined.device)


def injection_block(config: ModelConfig, depth: int) -> int:
    """The block before which frequencies join the tokens; the depth stands for "after the tower".

    Raises:
        BadInput: The tower has no such block.
    """
    if not isinstance(config.injection, Early):
        return depth
    if config.injection.block >= depth:
        raise BadInput(
            f"no vision block {config.injection.block} in a tower of {depth}",
            where="injection.block",
            remedy=f"choose a block below {depth}, or injection kind late",
        )
    return config.injection.block


def build_model(config: ModelConfig, seed: int) -> FreqMedClip:
    """The model on the CPU: pretrained where the configuration says so, the rest a pure function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip, sam = config.clip.build(config.image_size), config.sam.build()
        return FreqMedClip(config, clip, sam)


def model_parts(model: FreqMedClip) -> dict[str, list[str]]:
    """Named layer groups from head to stem; every tensor belongs to exactly one."""
    trunk, sam = "clip.model.visual.trunk", "sam.model"
    stem = [name for name, _ in model.clip.trunk.named_children() if name not in ("blocks", "norm", "fc_norm", "head")]
    loose = [name for name, _ in model.clip.trunk.named_parameters(recurse=False)]
    encoder = [name for name, _ in model.sam.model.image_encoder.named_children() if name != "neck"]
    return {
        "saliency_head": ["saliency_head"],
        "fusion_gate": ["fusion_gate"],
        "freq_projection": ["freq_projection", "wavelet"],
        "sam.decoder": [f"{sam}.mask_decoder"],
        "sam.neck": [f"{sam}.image_encoder.neck"],
        "sam.prompt": [f"{sam}.prompt_encoder"],
        "vision.head": [f"{trunk}.norm", f"{trunk}.fc_norm", f"{trunk}.head", "clip.model.visual.head"],
        **{f"vision.blocks.{i}": [f"{trunk}.blocks.{i}"] for i in reversed(range(model.clip.depth))},
        "vision.embed": [f"{trunk}.{name}" for name in stem + loose] + ["clip.mean", "clip.std"],
        "text": ["clip.model.text", "clip.model.logit_scale", "clip.model.logit_bias"],
        "sam.trunk": [
            *(f"{sam}.image_encoder.{name}" for name in encoder),
            f"{sam}.image_encoder.pos_embed",
            f"{sam}.pixel_mean",
            f"{sam}.pixel_std",
        ],
    }


def model_groups(model: FreqMedClip, sam_is_new: bool) -> dict[str, list[str]]:
    """Parts by layer group: what is new, then the vision tower by quarters, its embedding with the first one.

    Args:
        sam_is_new: SAM has random weights, so that its neck, prompt encoder and decoder learn with the head. Otherwise
            they, like its trunk and the text tower, are in no group: strategies leave them as they are.
    """
    depth = model.clip.depth
    blocks: dict[str, list[str]] = {group: [] for group in BACKBONE_GROUPS}
    for index in reversed(range(depth)):
        blocks[block_group(index, depth)].append(f"vision.blocks.{index}")
    blocks[BACKBONE_GROUPS[0]].insert(0, "vision.head")
    blocks[BACKBONE_GROUPS[-1]].append("vision.embed")
    taught = ["sam.decoder", "sam.neck", "sam.prompt"] if sam_is_new else []
    return {HEAD: ["saliency_head", "fusion_gate", "freq_projection", *taught], **blocks}
