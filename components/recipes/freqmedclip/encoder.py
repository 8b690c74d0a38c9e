"""The vision tower as an encoder that `pretrain` can train."""

from functools import partial

from jaxtyping import Float
from torch import Tensor

from components.core.engine.task import Encoder
from components.core.models.clip import normalise
from components.recipes.freqmedclip.model import FreqMedClip


def vision_encoder(model: FreqMedClip) -> Encoder:
    """The timm trunk of CLIP's image tower: the same tensors, whichever recipe holds it."""
    return Encoder(
        module=model.clip.trunk,
        embed=partial(_embed, model),
        size=model.clip.image_size,
        width=model.clip.width,
    )


def _embed(model: FreqMedClip, pictures: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
    tokens: Tensor = model.clip.trunk.forward_features(normalise(pictures))
    pooled: Tensor = model.clip.trunk.forward_head(tokens, pre_logits=True)
    return pooled
