"""The loss terms of freqmedclip by name: which part of a batch each reads, one value per sample."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from components.core.engine.gather import gather, own_rows
from components.core.losses.bce import bce_loss
from components.core.losses.boundary import boundary_loss
from components.core.losses.consistency import consistency_loss
from components.core.losses.contrastive import dhn_nce_loss
from components.core.losses.dice import soft_dice_loss
from components.core.losses.hinge import hinge_loss
from components.core.losses.prompt_quality import prompt_quality_loss
from components.core.losses.sharpness import sharpness_loss
from components.recipes.freqmedclip.model_config import Objectives


@dataclass(frozen=True)
class Scene:
    """A batch as the terms see it.

    Attributes:
        saliency: Refined logits at the image size, [b, s, s].
        truth: Lesion 1, background 0, [b, s, s].
        alpha: Fusion weight.
        image: Projected class token, [b, j].
        caption: Its captions in the joint space, [b, j]; None where no term needs them.
        caption_index: Number of the caption, [b].
        mask: SAM's logits at the image size, [b, s, s]; None where no term needs them.
    """

    saliency: Tensor
    truth: Tensor
    alpha: Tensor
    image: Tensor
    constants: Objectives
    caption: Tensor | None = None
    caption_index: Tensor | None = None
    mask: Tensor | None = None


@dataclass(frozen=True)
class Term:
    """One loss term.

    Attributes:
        value: Loss per sample, [b].
        masks: Does it need SAM?
        captions: Does it need captions? Such a term compares the samples of a batch.
    """

    value: Callable[[Scene], Float[Tensor, "b"]]
    masks: bool = False
    captions: bool = False


def _overlap(logits: Float[Tensor, "b s s"], truth: Float[Tensor, "b s s"]) -> Float[Tensor, "b"]:
    return soft_dice_loss(logits, truth) + bce_loss(logits, truth)


def _segmentation(logits: Float[Tensor, "b s s"], truth: Float[Tensor, "b s s"]) -> Float[Tensor, "b"]:
    return _overlap(logits, truth) + boundary_loss(logits, truth)


def _hinge(scene: Scene) -> Float[Tensor, "b"]:
    value = hinge_loss(scene.alpha, scene.constants.alpha_low, scene.constants.alpha_high)
    return value.expand(len(scene.truth))


def _contrastive(scene: Scene) -> Float[Tensor, "b"]:
    caption, index = _given(scene.caption, "captions"), _given(scene.caption_index, "captions")
    image, caption, index = gather(scene.image), gather(caption), gather(index)  # the whole batch's negatives
    losses = dhn_nce_loss(image, caption, index, tau=scene.constants.tau, beta=scene.constants.beta)
    return losses[own_rows(len(losses))]


def _mask(scene: Scene) -> Float[Tensor, "b s s"]:
    return _given(scene.mask, "masks")


def _given(value: Tensor | None, what: str) -> Tensor:
    if value is None:
        raise ValueError(f"a term that declares {what} was given none")
    return value


TERMS: dict[str, Term] = {
    "seg": Term(lambda scene: _segmentation(scene.saliency, scene.truth)),
    "hinge": Term(_hinge),
    "contrastive": Term(_contrastive, captions=True),
    "sharpness": Term(lambda scene: sharpness_loss(scene.saliency, scene.truth)),
    "sam_seg": Term(lambda scene: _segmentation(_mask(scene), scene.truth), masks=True),
    "saliency": Term(lambda scene: _overlap(scene.saliency, scene.truth)),
    "prompt_quality": Term(lambda scene: prompt_quality_loss(scene.saliency, scene.truth)),
    "consistency": Term(lambda scene: consistency_loss(scene.saliency, _mask(scene)), masks=True),
}
"""Every term a phase may weigh."""


def terms_needing(losses: Mapping[str, float], what: Literal["masks", "captions"]) -> list[str]:
    """Terms of positive weight that need SAM's masks, or captions."""
    return [name for name, weight in losses.items() if weight > 0 and name in TERMS and getattr(TERMS[name], what)]
