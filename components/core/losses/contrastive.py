"""Contrastive losses between images and texts: DHN-NCE and InfoNCE.

Both take embeddings of any length (they are normalised here) and treat samples with equal captions as no
negatives of each other: their texts are the same text.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.probability import at_least_float32

DIRECTIONS = 2
"""Image to text and text to image."""


def dhn_nce_loss(
    image: Float[Tensor, "b d"],
    text: Float[Tensor, "b d"],
    caption: Int[Tensor, "b"],
    tau: float = 0.6,
    beta: float = 0.15,
) -> Float[Tensor, "b"]:
    """Decoupled hard-negative noise contrastive estimation (Koleilat et al., MedCLIP-SAM, 2024), both directions.

    With s the cosines, j over the n_i valid negatives of i, and w_ij = n_i softmax_j(beta s_ij / tau):

        L_i = -s_ii / tau + logsumexp_j(s_ij / tau + log w_ij)

    The weights are constants to the gradient: they stand for a sampling distribution over negatives (Robinson et
    al., 2021), so dL/ds_ij = softmax_j((1 + beta) s_ij / tau) / tau > 0 pushes every negative away, hard ones most.
    Gradients through w would subtract beta / tau softmax_j(beta s_ij / tau) and attract the easy negatives.

    Args:
        image: Image embeddings.
        text: Text embeddings, row i belonging to image i.
        caption: Number of the caption; equal numbers are not negatives of each other.
        tau: Temperature.
        beta: Hardness; 0 weighs negatives alike.

    Returns:
        Sum of both directions, >= 2 * (log n_i - 2 / tau) (decoupled losses can be negative); a sample without
        valid negatives contributes 0: `silent_directions` counts them.
    """
    similarity, valid = _cosines(image, text), valid_negatives(caption)
    towards_text = _decoupled(similarity, valid, tau, beta)
    towards_image = _decoupled(similarity.T, valid, tau, beta)
    return towards_text + towards_image


def info_nce_loss(
    image: Float[Tensor, "b d"], text: Float[Tensor, "b d"], caption: Int[Tensor, "b"], tau: float = 0.07
) -> Float[Tensor, "b"]:
    """InfoNCE as in CLIP (Radford et al., 2021): mean of both directions' cross-entropies.

    Args:
        image: Image embeddings.
        text: Text embeddings, row i belonging to image i.
        caption: Number of the caption; equal numbers are not negatives of each other.
        tau: Temperature.

    Returns:
        Values >= 0; 0 for a sample without valid negatives.
    """
    itself = torch.eye(len(caption), dtype=torch.bool, device=caption.device)
    allowed = valid_negatives(caption) | itself
    scores = _cosines(image, text) / tau
    towards_text = torch.logsumexp(scores.masked_fill(~allowed, -torch.inf), dim=1) - scores.diagonal()
    towards_image = torch.logsumexp(scores.T.masked_fill(~allowed, -torch.inf), dim=1) - scores.diagonal()
    return (towards_text + towards_image) / DIRECTIONS


def valid_negatives(caption: Int[Tensor, "b"]) -> Bool[Tensor, "b b"]:
    """Which samples (columns) are negatives of which (rows): those with another caption."""
    return caption.unsqueeze(0) != caption.unsqueeze(1)


def silent_directions(caption: Int[Tensor, "b"]) -> int:
    """How many of the batch's 2 b directions have no valid negative and so contribute nothing."""
    return DIRECTIONS * int((~valid_negatives(caption).any(dim=1)).sum())


def _cosines(image: Float[Tensor, "b d"], text: Float[Tensor, "b d"]) -> Float[Tensor, "b b"]:
    with torch.autocast(device_type=image.device.type, enabled=False):
        return F.normalize(at_least_float32(image), dim=1) @ F.normalize(at_least_float32(text), dim=1).T


def _decoupled(
    similarity: Float[Tensor, "b b"], valid: Bool[Tensor, "b b"], tau: float, beta: float
) -> Float[Tensor, "b"]:
    """One direction: rows are anchors, the diagonal their positives."""
    count = valid.sum(dim=1)
    heard = count > 0
    # Rows without negatives are given finite stand-ins: logsumexp of nothing would make their gradient NaN.
    scores = torch.where(heard.unsqueeze(1), (similarity / tau).masked_fill(~valid, -torch.inf), 0.0)
    with torch.no_grad():
        log_weights = torch.log_softmax(beta * scores, dim=1) + count.clamp(min=1).to(scores.dtype).log().unsqueeze(1)
        log_weights = torch.where(valid, log_weights, 0.0)
    loss = torch.logsumexp(scores + log_weights, dim=1) - similarity.diagonal() / tau
    return torch.where(heard, loss, torch.zeros_like(loss))
