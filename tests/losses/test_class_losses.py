"""Losses of exclusive classes against torch's and MONAI's, and what they promise by themselves."""

import numpy as np
import pytest
import torch
from monai.losses import FocalLoss
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.focal_classes import focal_classes_loss
from components.core.losses.smoothed_cross_entropy import smoothed_cross_entropy_loss

CLASSES = 5
WEIGHTS = torch.tensor([0.3, 2.0, 1.0, 0.7, 1.5], dtype=torch.float64)


def case(seed: int = 0, samples: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, CLASSES, generator=generator, dtype=torch.float64) * 3
    return logits, torch.randint(CLASSES, (samples,), generator=generator)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_smoothing_by_hand(smoothing: float, weights: Tensor | None) -> None:
    logits, truth = case()
    found = smoothed_cross_entropy_loss(logits, truth, smoothing, weights)
    factors = np.ones(CLASSES) if weights is None else weights.numpy()
    shares = np.exp(logits.numpy())
    shares /= shares.sum(axis=1, keepdims=True)
    for row, label in enumerate(truth.tolist()):
        wanted = np.full(CLASSES, smoothing / CLASSES) + (1 - smoothing) * np.eye(CLASSES)[label]
        assert found[row].item() == pytest.approx(float(-(factors * wanted * np.log(shares[row])).sum()))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 5.0])
def test_focal_equals_monai(gamma: float) -> None:
    logits, truth = case()
    theirs = FocalLoss(gamma=gamma, to_onehot_y=True, use_softmax=True, weight=WEIGHTS, reduction="none")
    expected = theirs(logits, truth[:, None]).sum(dim=1)
    torch.testing.assert_close(focal_classes_loss(logits, truth, gamma, WEIGHTS).float(), expected)


def test_without_focus_it_is_cross_entropy() -> None:
    logits, truth = case()
    expected = F.cross_entropy(logits, truth, weight=WEIGHTS, reduction="none")
    torch.testing.assert_close(focal_classes_loss(logits, truth, 0.0, WEIGHTS), expected)
    torch.testing.assert_close(smoothed_cross_entropy_loss(logits, truth, 0.0, WEIGHTS), expected)


def test_an_easy_sample_counts_less_than_a_hard_one() -> None:
    """At p = 0.9 the factor is 0.01 of the cross-entropy (Lin et al., section 3.2)."""
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64))
    truth = torch.tensor([0, 0])
    share = focal_classes_loss(logits, truth) / F.cross_entropy(logits, truth, reduction="none")
    torch.testing.assert_close(share, torch.tensor([0.01, 0.81], dtype=torch.float64))


@pytest.mark.parametrize("loss", [focal_classes_loss, smoothed_cross_entropy_loss])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_gradients_are_finite_however_sure_the_model_is(loss: object, scale: float) -> None:
    assert callable(loss)
    logits = (torch.eye(CLASSES) * scale).requires_grad_()
    for truth in (torch.arange(CLASSES), torch.arange(CLASSES).roll(1)):
        logits.grad = None
        value = loss(logits, truth)
        value.sum().backward()
        assert torch.isfinite(value).all() and torch.all(value >= 0)
        assert logits.grad is not None and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [focal_classes_loss, smoothed_cross_entropy_loss])
def test_half_precision_is_computed_in_single(loss: object) -> None:
    assert callable(loss)
    logits, truth = case()
    found = loss(logits.bfloat16(), truth)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits.bfloat16().float(), truth))


def test_a_sample_is_weighted_by_itself() -> None:
    """A mean over samples is not divided by the weights of the batch: the micro-batches of a step must add up."""
    logits, truth = case()
    whole = focal_classes_loss(logits, truth, 2.0, WEIGHTS)
    pieces = [focal_classes_loss(logits[i : i + 7], truth[i : i + 7], 2.0, WEIGHTS) for i in range(0, 40, 7)]
    torch.testing.assert_close(torch.cat(pieces), whole)
    alike = focal_classes_loss(logits, truth, 2.0, torch.full((CLASSES,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(alike, 2 * focal_classes_loss(logits, truth))
