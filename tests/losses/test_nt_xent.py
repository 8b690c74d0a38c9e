"""NT-Xent against a reference library, a loop, and what must hold of it."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor
from torch.nn import functional as F

from components.core.losses.nt_xent import nt_xent


def pair(count: int, width: int = 16, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, count, width, generator=generator, dtype=dtype)
    return first, second


def by_loops(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Equation 1 as it stands."""
    views = [F.normalize(view, dim=0) for view in torch.cat([first, second])]
    n = len(first)

    def one(i: int, j: int) -> Tensor:
        others = [(views[i] @ views[k] / temperature).exp() for k in range(2 * n) if k != i]
        return -((views[i] @ views[j] / temperature).exp() / sum(others)).log()

    return torch.stack([(one(i, i + n) + one(i + n, i)) / 2 for i in range(n)])


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("count", [2, 7, 64])
def test_it_equals_the_reference_library(count: int, temperature: float) -> None:
    first, second = pair(count)
    expected = NTXentLoss(temperature=temperature)(first, second)
    assert float(nt_xent(first, second, temperature).mean()) == pytest.approx(float(expected), rel=1e-6, abs=1e-6)


def test_each_sample_has_the_loss_of_the_equation() -> None:
    first, second = pair(5)
    torch.testing.assert_close(nt_xent(first, second, 0.2), by_loops(first, second, 0.2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [4, 32, 256])
def test_random_features_cost_what_guessing_costs(count: int) -> None:
    first, second = pair(count, width=128)
    guessing = math.log(2 * count - 1)
    for temperature in (0.2, 1.0):
        assert float(nt_xent(first, second, temperature).mean()) >= 0.9 * guessing
    alike = torch.ones(count, 8)
    assert float(nt_xent(alike, alike, 0.2).mean()) == pytest.approx(guessing, rel=1e-6)


def test_a_view_is_no_candidate_for_itself() -> None:
    """With itself among the candidates, two orthogonal pictures with equal views would cost more."""
    views = torch.eye(2)
    expected = math.log(1 + 2 * math.exp(-1.0))
    assert nt_xent(views, views, 1.0).tolist() == pytest.approx([expected, expected], rel=1e-6)
    assert float(nt_xent(*pair(1), 0.2)) == 0.0, "one picture has nothing to be told from"


def test_a_low_temperature_sharpens() -> None:
    """With positives that are most similar already, colder is cheaper; with wrong ones, dearer."""
    views, _ = pair(8, width=64)
    noisy = views + 0.1 * pair(8, width=64, seed=1)[0]
    right = [float(nt_xent(views, noisy, t).mean()) for t in (0.07, 0.2, 1.0)]
    wrong = [float(nt_xent(views, noisy.roll(1, 0), t).mean()) for t in (0.07, 0.2, 1.0)]
    assert right == sorted(right) and wrong == sorted(wrong, reverse=True)


def test_the_views_are_symmetric_and_their_length_does_not_matter() -> None:
    first, second = pair(6)
    torch.testing.assert_close(nt_xent(first, second, 0.2), nt_xent(second, first, 0.2))
    torch.testing.assert_close(nt_xent(first, second, 0.2), nt_xent(3 * first, 0.5 * second, 0.2))
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    torch.testing.assert_close(nt_xent(first[order], second[order], 0.2), nt_xent(first, second, 0.2)[order])


def test_gradients_reach_both_views() -> None:
    first, second = (view.requires_grad_() for view in pair(4, width=8))
    nt_xent(first, second, 0.2).mean().backward()
    step = 1e-2
    for view in (first, second):
        assert view.grad is not None
        direction = F.normalize(view.grad.flatten(), dim=0).view_as(view)
        with torch.no_grad():
            ahead, back = view + step * direction, view - step * direction
            pairs = [(ahead, second), (back, second)] if view is first else [(first, ahead), (first, back)]
            up, down = (float(nt_xent(a, b, 0.2).mean()) for a, b in pairs)
        assert (up - down) / (2 * step) == pytest.approx(float(view.grad.norm()), rel=1e-2)


@pytest.mark.parametrize("shares", [[3, 5], [8, 0], [1, 2, 5]])
def test_shares_of_a_batch_cost_what_the_batch_costs(shares: list[int]) -> None:
    """Losses and gradients: each share compares its samples with everyone's, as other processes would hold them."""
    whole = [view.requires_grad_() for view in pair(8)]
    nt_xent(*whole, 0.2).sum().backward()
    pieces = [view.requires_grad_() for view in pair(8)]
    starts = [sum(shares[:place]) for place in range(len(shares))]
    found = torch.cat(
        [
            nt_xent(*(view[start : start + size] for view in pieces), 0.2, (pieces[0], pieces[1]), start)
            for start, size in zip(starts, shares, strict=True)
        ]
    )
    torch.testing.assert_close(found, nt_xent(*whole, 0.2))
    found.sum().backward()
    for ours, theirs in zip(pieces, whole, strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_half_precision_around_it_changes_nothing() -> None:
    first, second = pair(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = nt_xent(first, second, 0.07)
    torch.testing.assert_close(inside, nt_xent(first, second, 0.07), rtol=0, atol=0)
