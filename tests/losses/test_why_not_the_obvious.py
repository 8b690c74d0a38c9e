"""Forms that look right and do not train, each beside ours on the same input."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.bce import bce_loss
from components.core.losses.boundary import boundary_loss
from components.core.losses.dice import soft_dice_loss
from components.core.losses.edges import laplacian
from components.core.losses.hinge import hinge_loss
from components.core.losses.prompt_quality import prompt_quality_loss
from components.core.losses.sharpness import sharpness_loss


def disc(size: int = 32) -> Tensor:
    axis = torch.arange(size) - size / 2 + 0.5
    return ((axis.unsqueeze(0) ** 2 + axis.unsqueeze(1) ** 2) < (size / 4) ** 2).float().unsqueeze(0)


def noise(size: int = 32) -> Tensor:
    return torch.randn(1, size, size, generator=torch.Generator().manual_seed(0))


def test_dice_and_cross_entropy_of_a_thresholded_mask_have_no_gradient() -> None:
    logits, truth = noise().requires_grad_(), disc()
    binary = (torch.sigmoid(logits) > 0.5).float()
    overlap = 1 - 2 * (binary * truth).sum() / (binary.sum() + truth.sum())
    assert not (overlap + F.binary_cross_entropy(binary, truth)).requires_grad
    (gradient,) = torch.autograd.grad((soft_dice_loss(logits, truth) + bce_loss(logits, truth)).sum(), logits)
    assert torch.all(gradient != 0)
    assert torch.all((gradient < 0) == (truth > 0))


def test_rewarding_the_laplacian_prefers_noise_to_the_truth() -> None:
    truth = disc()
    board = ((torch.arange(32).unsqueeze(0) + torch.arange(32).unsqueeze(1)) % 2).float().unsqueeze(0)

    def minus_mean(saliency: Tensor) -> float:
        return -laplacian(saliency).abs().mean().item()

    assert minus_mean(board) < minus_mean(truth)
    assert minus_mean(100 * noise()) < 50 * minus_mean(truth)  # and no bound: louder is better
    for wrong in (board, torch.sigmoid(noise())):
        logits = torch.logit(wrong, eps=1e-6)
        assert sharpness_loss(logits, truth) > sharpness_loss(torch.logit(truth, eps=1e-6), truth)
        assert boundary_loss(logits, truth) > boundary_loss(torch.logit(truth, eps=1e-6), truth)


def test_the_root_at_zero_gives_nan_gradients() -> None:
    truth = disc()
    naive = torch.zeros(1, 32, 32, requires_grad=True)
    probability = torch.sigmoid(naive)
    across, down = (
        probability[:, :-1, 1:] - probability[:, :-1, :-1],
        probability[:, 1:, :-1] - probability[:, :-1, :-1],
    )
    (gradient,) = torch.autograd.grad(-torch.sqrt(across**2 + down**2).mean(), naive)
    assert torch.isnan(gradient).any()
    logits = torch.zeros(1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(boundary_loss(logits, truth).sum(), logits)
    assert torch.isfinite(gradient).all()


def test_the_overlap_of_hard_boxes_has_no_gradient() -> None:
    logits, truth = noise().requires_grad_(), disc()
    rows, columns = torch.nonzero((torch.sigmoid(logits[0]) > 0.6).any(1)), torch.nonzero((logits[0] > 0.4).any(0))
    box = torch.zeros(1, 32, 32)
    box[:, int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1] = 1
    assert not (1 - (box * truth).sum() / torch.maximum(box, truth).sum()).requires_grad
    (gradient,) = torch.autograd.grad(prompt_quality_loss(logits, truth).sum(), logits)
    assert gradient.abs().max() > 0


def test_descending_the_soft_box_tightens_the_hard_box() -> None:
    truth = disc()
    logits = (4 * (F.max_pool2d(truth, 13, 1, 6) - 0.5)).requires_grad_()  # a box 6 px too wide on each side
    start = int((logits > 0).any(1).sum())
    for _ in range(200):
        (gradient,) = torch.autograd.grad(prompt_quality_loss(logits, truth).sum(), logits)
        logits = (logits - 50 * gradient).detach().requires_grad_()
    wanted = int((truth > 0).any(1).sum())
    assert start == wanted + 12
    assert int((logits > 0).any(1).sum()) == wanted


@pytest.mark.parametrize("alpha", [0.2, 0.3, 0.4])
def test_a_pull_towards_a_tenth_fights_the_range_that_counts_as_success(alpha: float) -> None:
    value = torch.tensor(alpha, requires_grad=True)
    (pull,) = torch.autograd.grad((value - 0.1).square(), value)
    assert pull > 0
    (ours,) = torch.autograd.grad(hinge_loss(value), value)
    assert ours == 0
