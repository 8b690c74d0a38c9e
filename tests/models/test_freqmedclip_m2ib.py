"""M2IB: the fast batch against the loop it replaces, and its formula against torch's distributions."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from components.core.errors import BadInput
from components.core.models.clip import ClipTower
from components.core.models.clip_config import TinyClip
from components.recipes.freqmedclip.m2ib import bottleneck_information, draw, m2ib_saliency, optimise
from components.recipes.freqmedclip.model_config import M2ibConfig

CONFIG = M2ibConfig(block=1, copies=3, variance=0.8, seed=7)


@pytest.fixture(scope="module")
def clip() -> ClipTower:
    torch.manual_seed(0)
    return TinyClip(width=32, depth=3, joint=16).build(32).eval()


@pytest.fixture(scope="module")
def inputs(clip: ClipTower) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        text = clip.text(clip.tokenise(["a dark lesion", "a bright mass", "a cyst"]))
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)), text


def naive(clip: ClipTower, image: Tensor, text: Tensor, sample: int, config: M2ibConfig) -> tuple[Tensor, Tensor]:
    """One image, one noise copy at a time, everything recomputed, every gradient taken: the definition."""
    opened = torch.full((clip.grid**2 + 1, clip.width), config.initial, requires_grad=True)
    adam = torch.optim.Adam([opened], lr=config.rate)
    hidden = torch.empty(0)
    for step in range(config.steps):
        hidden = clip.entering(image[None], config.block + 1)[0]
        share = torch.sigmoid(opened)
        kept = 1 - torch.sigmoid(opened)
        divergence = 0.5 * (
            (share * hidden) ** 2 / config.variance + kept**2 - 1 + 2 * torch.nn.functional.softplus(opened)
        )
        agreements = []
        for noise in draw(config, sample, step, hidden[None]):
            mixed = share * hidden + kept * noise
            tokens = clip.trunk.norm(clip.blocks(mixed[None], config.block + 1, clip.depth))
            agreements.append(torch.cosine_similarity(clip.model.visual.head(tokens[0, 0]), text, dim=0))
        loss = config.beta * divergence.mean() - torch.stack(agreements).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        information = bottleneck_information(opened[None], hidden[None], config.variance)[0, 1:].sum(dim=-1)
    return opened.detach(), information.reshape(clip.grid, clip.grid).detach()


def test_equals_the_naive_loop(clip: ClipTower, inputs: tuple[Tensor, Tensor]) -> None:
    image, text = inputs
    samples = [4, 0, 9]
    loops = [naive(clip, image[i], text[i], samples[i], CONFIG) for i in range(3)]
    with torch.no_grad():
        hidden = clip.entering(image, CONFIG.block + 1)
    opened = optimise(clip, hidden, text, samples, CONFIG)
    torch.testing.assert_close(opened, torch.stack([loop[0] for loop in loops]), atol=1e-5, rtol=1e-5)
    fast = m2ib_saliency(clip, image, text, samples, CONFIG)
    torch.testing.assert_close(fast, torch.stack([loop[1] for loop in loops]), atol=1e-4, rtol=1e-5)
    assert fast.shape == (3, 4, 4)
    assert (opened - CONFIG.initial).abs().mean() > 1, "ten steps of rate 1 go somewhere"


def test_batching_does_not_change_a_sample(clip: ClipTower, inputs: tuple[Tensor, Tensor]) -> None:
    image, text = inputs
    together = m2ib_saliency(clip, image, text, [4, 0, 9], CONFIG)
    alone = m2ib_saliency(clip, image[1:2], text[1:2], [0], CONFIG)
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-5)


def test_noise_is_a_function_of_its_numbers() -> None:
    like = torch.zeros(1, 5, 8)
    first = draw(CONFIG, 3, 2, like)
    assert first.shape == (3, 5, 8)
    assert torch.equal(first, draw(CONFIG, 3, 2, like))
    assert not torch.equal(first[0], first[1])
    for other in (
        draw(CONFIG, 4, 2, like),
        draw(CONFIG, 3, 3, like),
        draw(CONFIG.model_copy(update={"seed": 8}), 3, 2, like),
    ):
        assert not torch.equal(first, other)
    many = draw(CONFIG.model_copy(update={"copies": 50}), 0, 0, torch.zeros(1, 20, 20))
    assert float(many.var()) == pytest.approx(CONFIG.variance, rel=0.05)


def test_information_is_the_divergence_of_two_normals() -> None:
    opened, hidden = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    share = torch.sigmoid(opened)
    expected = kl_divergence(Normal(share * hidden, (1 - share) * 0.8**0.5), Normal(0.0, 0.8**0.5))
    torch.testing.assert_close(bottleneck_information(opened, hidden, 0.8), expected)
    assert bottleneck_information(torch.full((1, 1, 1), 200.0), torch.ones(1, 1, 1), 1.0).isfinite().all()


def test_leaves_the_tower_untouched(clip: ClipTower, inputs: tuple[Tensor, Tensor]) -> None:
    image, text = inputs
    clip.zero_grad()
    with torch.no_grad():  # as evaluation calls it
        m2ib_saliency(clip, image[:1], text[:1], [0], CONFIG.model_copy(update={"steps": 1}))
    assert all(parameter.grad is None for parameter in clip.parameters())


def test_a_block_beyond_the_tower_is_refused(clip: ClipTower, inputs: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(BadInput, match="no vision block 9"):
        m2ib_saliency(clip, *inputs, [0, 1, 2], M2ibConfig())
