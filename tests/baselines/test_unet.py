"""The supervised yardstick: any size, samples apart, and able to learn."""

import pytest
import torch
from torch import Tensor

from components.core.baselines.unet import UNet
from components.core.losses.bce import bce_loss


@pytest.fixture
def model() -> UNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet(width=4, depth=2)


def images(batch: int, height: int, width: int) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 23), (4, 5)])
def test_logits_have_the_images_size(model: UNet, height: int, width: int) -> None:
    assert model(images(2, height, width)).shape == (2, 1, height, width)


def test_width_and_channels_are_free() -> None:
    assert UNet(inputs=1, outputs=3, width=6, depth=3)(torch.zeros(1, 1, 8, 8)).shape == (1, 3, 8, 8)


def test_samples_do_not_see_each_other(model: UNet) -> None:
    batch = images(3, 16, 16)
    alone = torch.cat([model(batch[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(batch), alone, rtol=1e-4, atol=1e-5)


def test_every_parameter_learns_and_the_bright_square_is_found(model: UNet) -> None:
    batch = 0.1 * images(4, 16, 16)
    truth = torch.zeros(4, 16, 16)
    for i in range(4):
        truth[i, 2 * i : 2 * i + 6, 4:10] = 1
    batch += truth.unsqueeze(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = bce_loss(model(batch).squeeze(1), truth).mean()
        loss.backward()
        losses.append(loss.item())
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
        optimiser.step()
    assert losses[-1] < 0.25 * losses[0]
