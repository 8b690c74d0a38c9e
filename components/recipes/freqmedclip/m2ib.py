"""M2IB: saliency without training, by squeezing the information that passes one vision block.

Wang, Rudner, Wilson: Visual Explanations of Image-Text Representations via Multi-Modal Information Bottleneck
Attribution, NeurIPS 2023. Only the bottleneck learns; per image, z = lambda * h + (1 - lambda) * e.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from components.core.augment.randomness import generator
from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.recipes.freqmedclip.model_config import M2ibConfig


def m2ib_saliency(
    clip: ClipTower,
    image: Float[Tensor, "b 3 s s"],
    text: Float[Tensor, "b j"],
    samples: Sequence[int],
    config: M2ibConfig,
) -> Float[Tensor, "b g g"]:
    """Information (nats, summed over channels) that each patch token needs to agree with the text; at least 0.

    The blocks up to the bottleneck run once; images and noise copies share the batch; only the bottleneck gets
    gradients. A sample's result does not depend on what else is in the batch.

    Args:
        image: Normalised for CLIP.
        text: Of `ClipTower.text`.
        samples: Number of each sample, from which (with seed, step and copy) its noise follows.

    Raises:
        BadInput: The tower has no such block.
    """
    if config.block >= clip.depth:
        raise BadInput(
            f"no vision block {config.block} in a tower of {clip.depth}",
            where="m2ib.block",
            remedy=f"choose a block below {clip.depth}",
        )
    with torch.no_grad():
        hidden = clip.entering(image, config.block + 1)
    closed = optimise(clip, hidden, text.detach(), samples, config)
    information = bottleneck_information(closed, hidden, config.variance)
    return information[:, 1:].sum(dim=-1).reshape(-1, clip.grid, clip.grid)


@torch.enable_grad()
def optimise(
    clip: ClipTower,
    hidden: Float[Tensor, "b n d"],
    text: Float[Tensor, "b j"],
    samples: Sequence[int],
    config: M2ibConfig,
) -> Float[Tensor, "b n d"]:
    """The bottleneck's a (lambda = sigmoid(a)) after Adam's steps.

    Args:
        hidden: Tokens leaving the bottleneck's block, class token first.
    """
    opened = torch.full_like(hidden, config.initial, requires_grad=True)
    adam = torch.optim.Adam([opened], lr=config.rate)
    for step in range(config.steps):
        noise = torch.stack([draw(config, sample, step, hidden) for sample in samples])
        loss = _loss(clip, opened, hidden, text, noise, config)
        # The sum over images keeps their gradients apart; Adam works entry by entry.
        (opened.grad,) = torch.autograd.grad(loss.sum(), [opened])
        adam.step()
    return opened.detach()


def _loss(
    clip: ClipTower,
    opened: Float[Tensor, "b n d"],
    hidden: Float[Tensor, "b n d"],
    text: Float[Tensor, "b j"],
    noise: Float[Tensor, "b c n d"],
    config: M2ibConfig,
) -> Float[Tensor, "b"]:
    passed = torch.sigmoid(opened)
    mixed = (passed * hidden)[:, None] + (1 - passed)[:, None] * noise
    tokens = clip.norm(clip.blocks(mixed.flatten(0, 1), config.block + 1, clip.depth))
    image = clip.project(tokens[:, 0]).unflatten(0, noise.shape[:2])
    agreement = F.cosine_similarity(image, text[:, None], dim=-1).mean(dim=1)
    information = bottleneck_information(opened, hidden, config.variance).mean(dim=(1, 2))
    return config.beta * information - agreement


def bottleneck_information(
    opened: Float[Tensor, "b n d"], hidden: Float[Tensor, "b n d"], variance: float
) -> Float[Tensor, "b n d"]:
    """KL divergence of N(lambda h, (1 - lambda)^2 s^2) from N(0, s^2), in nats.

    1/2 [(lambda h)^2 / s^2 + (1 - lambda)^2 - 1 - 2 log(1 - lambda)], with log(1 - lambda) = -softplus(a), which
    stays finite where 1 - lambda rounds to 0.
    """
    passed, blocked = torch.sigmoid(opened), torch.sigmoid(-opened)
    information: Tensor = 0.5 * ((passed * hidden).square() / variance + blocked.square() - 1 + 2 * F.softplus(opened))
    return information


def draw(config: M2ibConfig, sample: int, step: int, like: Float[Tensor, "b n d"]) -> Float[Tensor, "c n d"]:
    """Noise copies of one sample at one step: a pure function of (seed, sample, step, copy)."""
    copies = []
    for copy in range(config.copies):
        random = generator(config.seed, sample, step, copy)
        copies.append(random.standard_normal(like.shape[1:], dtype=np.float32))
    noise = torch.from_numpy(np.stack(copies)).to(like)
    return noise * math.sqrt(config.variance)
