"""Losses of several labels against torch, torchvision and timm; soft and unknown labels."""

import pytest
import torch
from timm.loss import AsymmetricLossMultiLabel
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from components.core.losses.multilabel import asymmetric_loss, multilabel_bce, multilabel_focal, smoothed

LOSSES = [multilabel_bce, multilabel_focal, asymmetric_loss]


def sample(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(7, 5, generator=generator) * 3, (torch.rand(7, 5, generator=generator) < 0.3).float()


def test_bce_is_torchs() -> None:
    logits, targets = sample()
    weight = torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0])
    expected = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction="none").mean(1)
    torch.testing.assert_close(multilabel_bce(logits, targets, weight), expected)


@pytest.mark.parametrize("alpha", [0.25, 0.7, -1.0])
def test_focal_is_torchvisions(alpha: float) -> None:
    logits, targets = sample()
    expected = sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=2.0, reduction="none").mean(1)
    torch.testing.assert_close(multilabel_focal(logits, targets, alpha), expected)


@pytest.mark.parametrize(("negative", "positive", "clip"), [(4.0, 1.0, 0.05), (2.0, 0.0, 0.0), (0.0, 0.0, 0.0)])
def test_asymmetric_is_timms_for_hard_labels(negative: float, positive: float, clip: float) -> None:
    logits, targets = sample()
    oracle = AsymmetricLossMultiLabel(gamma_neg=negative, gamma_pos=positive, clip=clip)
    torch.testing.assert_close(
        asymmetric_loss(logits, targets, negative, positive, clip).mean(), oracle(logits, targets)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_soft_label_weighs_both_sides(loss: object) -> None:
    logits, _ = sample()
    ones, zeros = torch.ones_like(logits), torch.zeros_like(logits)
    mixed = loss(logits, 0.3 * ones)  # type: ignore[operator]
    torch.testing.assert_close(mixed, 0.3 * loss(logits, ones) + 0.7 * loss(logits, zeros))  # type: ignore[operator]


@pytest.mark.parametrize("loss", LOSSES)
def test_unknown_labels_add_nothing(loss: object) -> None:
    logits, targets = sample()
    targets[:, 2] = float("nan")
    keep = [0, 1, 3, 4]
    logits.requires_grad_()
    values = loss(logits, targets)  # type: ignore[operator]
    torch.testing.assert_close(values, loss(logits[:, keep], targets[:, keep]))  # type: ignore[operator]
    values.sum().backward()
    assert torch.isfinite(logits.grad).all() and (logits.grad[:, 2] == 0).all()
    nothing = loss(logits, torch.full_like(targets, float("nan")))  # type: ignore[operator]
    assert (nothing == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_logits_stay_finite(loss: object) -> None:
    logits = torch.tensor([[-200.0, 200.0, -200.0, 200.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[1.0, 0.0, 0.0, 1.0]]))  # type: ignore[operator]
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(logits.grad).all()


def test_smoothing_draws_towards_one_half() -> None:
    found = smoothed(torch.tensor([[1.0, 0.0, float("nan")]]), 0.1)
    torch.testing.assert_close(found, torch.tensor([[0.95, 0.05, float("nan")]]), equal_nan=True)
