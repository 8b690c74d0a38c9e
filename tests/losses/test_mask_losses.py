"""What every loss on maps promises: values per sample, bounds, finite gradients, and the true mask as optimum."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.core.losses.bce import bce_loss
from components.core.losses.boundary import boundary_loss
from components.core.losses.consistency import consistency_loss
from components.core.losses.dice import soft_dice_loss
from components.core.losses.edges import edge_band, laplacian, sobel_magnitude
from components.core.losses.focal import focal_loss
from components.core.losses.prompt_quality import prompt_quality_loss
from components.core.losses.sharpness import sharpness_loss

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "dice": soft_dice_loss,
    "bce": bce_loss,
    "focal": focal_loss,
    "boundary": boundary_loss,
    "sharpness": sharpness_loss,
    "prompt_quality": prompt_quality_loss,
}
SKIP_EMPTY = ["dice", "sharpness", "prompt_quality"]
SURE = 12.0
"""A logit whose sigmoid is 0 or 1 to 1e-5."""


def square(size: int = 24, low: int = 8, high: int = 16) -> Tensor:
    truth = torch.zeros(1, size, size)
    truth[:, low:high, low:high] = 1
    return truth


def as_logits(mask: Tensor) -> Tensor:
    return (2 * mask - 1) * SURE


def checkerboard(size: int, cell: int) -> Tensor:
    index = torch.arange(size) // cell
    return ((index.unsqueeze(0) + index.unsqueeze(1)) % 2).float().unsqueeze(0)


def random_case(seed: int, batch: int = 3, size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, size, size, generator=generator, dtype=torch.float64) * 2
    truth = (torch.rand(batch, size, size, generator=generator) > 0.7).double()
    return logits, truth


@pytest.mark.parametrize("name", LOSSES)
def test_the_true_mask_is_the_optimum(name: str) -> None:
    truth = square()
    assert LOSSES[name](as_logits(truth), truth).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("cell", [1, 2, 4])
@pytest.mark.parametrize("name", LOSSES)
def test_a_checkerboard_is_worse_than_the_true_mask(name: str, cell: int) -> None:
    truth = square()
    board = LOSSES[name](as_logits(checkerboard(24, cell)), truth).item()
    assert board > LOSSES[name](as_logits(truth), truth).item() + 0.01


@pytest.mark.parametrize("level", [-SURE, 0.0, SURE])
@pytest.mark.parametrize("name", LOSSES)
def test_a_flat_map_has_finite_gradients(name: str, level: float) -> None:
    truth = torch.cat([square(), torch.zeros(1, 24, 24), torch.ones(1, 24, 24)])
    logits = torch.full_like(truth, level, requires_grad=True)
    LOSSES[name](logits, truth).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_flat_map_is_drawn_towards_the_truth(name: str) -> None:
    """A small step down the gradient from a nearly flat map lowers the loss."""
    truth = square()
    start = 0.01 * torch.randn(1, 24, 24, generator=torch.Generator().manual_seed(0))
    logits = start.clone().requires_grad_()
    before = LOSSES[name](logits, truth).sum()
    (gradient,) = torch.autograd.grad(before, logits)
    assert gradient.abs().max() > 0
    assert LOSSES[name](start - 0.01 * gradient / gradient.norm(), truth).sum() < before


@pytest.mark.parametrize("name", SKIP_EMPTY)
def test_empty_truth_contributes_nothing(name: str) -> None:
    logits = torch.randn(2, 24, 24, generator=torch.Generator().manual_seed(1)).requires_grad_()
    truth = torch.cat([torch.zeros(1, 24, 24), square()])
    loss = LOSSES[name](logits, truth)
    loss.sum().backward()
    assert loss[0] == 0
    assert loss[1] > 0
    assert logits.grad is not None
    assert torch.all(logits.grad[0] == 0)


def test_cross_entropy_still_counts_empty_truth() -> None:
    logits = torch.zeros(1, 4, 4)
    assert bce_loss(logits, torch.zeros(1, 4, 4)).item() == pytest.approx(np.log(2))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_losses_are_never_negative_and_treat_samples_apart(seed: int) -> None:
    logits, truth = random_case(seed)
    for name, loss in LOSSES.items():
        together = loss(logits, truth)
        assert together.shape == (3,), name
        assert torch.all(together >= 0), name
        alone = torch.cat([loss(logits[i : i + 1], truth[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_losses_turn_with_the_image(seed: int) -> None:
    logits, truth = random_case(seed)
    for name, loss in LOSSES.items():
        turned = loss(logits.rot90(1, (1, 2)), truth.rot90(1, (1, 2)))
        torch.testing.assert_close(turned, loss(logits, truth), rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("name", ["dice", "bce", "focal", "boundary", "prompt_quality"])
def test_gradients_are_those_of_the_function(name: str) -> None:
    logits, truth = random_case(3, batch=2, size=6)
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, truth), logits.requires_grad_(), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_summed_in_single(name: str) -> None:
    truth = square(256, 64, 192)
    logits = torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(2)).bfloat16()
    loss = LOSSES[name](logits, truth)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, LOSSES[name](logits.float(), truth))


def test_consistency_moves_the_saliency_only() -> None:
    saliency = torch.zeros(2, 4, 4, requires_grad=True)
    mask = torch.full((2, 4, 4), 1.0, requires_grad=True)
    loss = consistency_loss(saliency, mask)
    loss.sum().backward()
    assert loss.shape == (2,)
    assert mask.grad is None
    assert saliency.grad is not None
    assert torch.all(saliency.grad < 0)
    assert torch.all(consistency_loss(mask, mask) == 0)


def naive_dice(logits: Tensor, truth: Tensor) -> float:
    shared = total = 0.0
    for logit, wanted in zip(logits.flatten().tolist(), truth.flatten().tolist(), strict=True):
        predicted = 1 / (1 + np.exp(-logit))
        shared += predicted * wanted
        total += predicted + wanted
    return 1 - (2 * shared + 1) / (total + 1)


def test_dice_equals_the_naive_loop() -> None:
    logits, truth = random_case(5)
    expected = [naive_dice(one, other) for one, other in zip(logits, truth, strict=True)]
    assert soft_dice_loss(logits, truth).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what MONAI's import warns about is not ours
def test_dice_equals_monai() -> None:
    losses = pytest.importorskip("monai.losses")
    logits, truth = random_case(6)
    oracle = losses.DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1, reduction="none")
    expected = oracle(logits.unsqueeze(1), truth.unsqueeze(1)).flatten()
    torch.testing.assert_close(soft_dice_loss(logits, truth), expected)


def test_prompt_quality_sees_the_box_and_not_the_shape() -> None:
    truth = square()
    ring = truth.clone()
    ring[:, 10:14, 10:14] = 0
    wide = square(24, 4, 20)
    assert prompt_quality_loss(as_logits(ring), truth).item() == pytest.approx(0, abs=1e-3)
    assert prompt_quality_loss(as_logits(wide), truth).item() > 0.3


def test_sobel_of_a_step_is_one_and_the_frame_is_no_edge() -> None:
    step = torch.zeros(1, 6, 8)
    step[:, :, 4:] = 1
    magnitude = sobel_magnitude(step, eps=0.0)
    assert magnitude[0, :, 3:5].tolist() == [[1.0, 1.0]] * 6
    assert magnitude[0, :, [0, 1, 2, 5, 6, 7]].abs().max() == 0
    assert laplacian(torch.ones(1, 5, 5)).abs().max() == 0


def test_the_band_is_five_pixels_wide_and_follows_the_edge_only() -> None:
    truth = torch.zeros(3, 20, 20)
    truth[0, :, 10:] = 1  # touches three sides of the frame: only x = 10 is an edge
    truth[2] = 1
    band = edge_band(truth)
    assert band[0, 7].nonzero().flatten().tolist() == [8, 9, 10, 11, 12]
    assert not band[1].any()
    assert not band[2].any()
