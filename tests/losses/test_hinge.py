"""The hinge holds alpha inside the range that counts as success."""

import pytest
import torch

from components.core.losses.hinge import hinge_loss


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, 0.05), (0.05, 0.0), (0.2, 0.0), (0.4, 0.0), (1.0, 0.6)])
def test_distance_from_the_interval(alpha: float, expected: float) -> None:
    loss = hinge_loss(torch.tensor(alpha))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("alpha", "slope"), [(-1.0, -1.0), (0.3, 0.0), (0.9, 1.0)])
def test_slope(alpha: float, slope: float) -> None:
    value = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    hinge_loss(value).backward()
    assert value.grad is not None
    assert value.grad.item() == slope
