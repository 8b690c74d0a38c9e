"""Half precision scales the loss; the limit on the gradients' norm is meant for them as they are, not as scaled."""

from contextlib import nullcontext

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from components.cli.values import recipes
from components.core.engine.device import Device
from components.core.runtime import Runtime
from tests.contract.bench import Bench, Trial

SCALE = 2.0**16
LIMIT = 0.25


@pytest.fixture(scope="module", params=recipes())
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.of(request.param, tmp_path_factory.mktemp(request.param))


def first_step(bench: Bench) -> tuple[float, dict[str, torch.Tensor]]:
    """Norm before clipping and gradients after it."""
    trial = Trial(bench, "warmup", bench.phase("warmup", precision="fp32", clip=LIMIT))
    norm = next(trial.steps(1)).norm
    return norm, trial.gradients()


@pytest.fixture
def scaler(monkeypatch: pytest.MonkeyPatch) -> torch.amp.GradScaler:
    """Every device made from now on scales its losses as with fp16, though it computes in fp32 on the CPU."""
    made = torch.amp.GradScaler("cpu", init_scale=SCALE)
    original = Device.__init__

    def init(self: Device, runtime: Runtime, precision: str = "auto") -> None:
        original(self, runtime, precision)
        self.accelerator.scaler = made
        self.accelerator.native_amp = True

    monkeypatch.setattr(Device, "__init__", init)
    monkeypatch.setattr(Device, "autocast", lambda device: nullcontext())
    monkeypatch.setattr(Accelerator, "mixed_precision", "fp16")
    return made


def test_the_norm_is_that_of_the_unscaled_gradients(bench: Bench, request: pytest.FixtureRequest) -> None:
    expected, gradients = first_step(bench)
    assert expected > LIMIT, "nothing is clipped"
    scaler: torch.amp.GradScaler = request.getfixturevalue("scaler")
    norm, found = first_step(bench)
    assert scaler.get_scale() == SCALE, "the gradients overflowed"
    assert norm == pytest.approx(expected, rel=1e-5)
    assert gradients.keys() == found.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, gradients[name], rtol=1e-5, atol=1e-8)


def test_the_other_order_would_shrink_the_step_by_the_scale() -> None:
    """Why it matters: clipped while scaled, a gradient ends up `scale` times too small (the limit is not its own)."""
    norms = {}
    for order in ("unscale, clip", "clip, unscale"):
        weight = nn.Parameter(torch.ones(4))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
        scaler.scale((weight * torch.arange(4.0)).sum()).backward()
        if order == "unscale, clip":
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_([weight], LIMIT)
        if order == "clip, unscale":
            scaler.unscale_(optimizer)
        assert weight.grad is not None
        norms[order] = float(weight.grad.norm())
    assert norms["unscale, clip"] == pytest.approx(LIMIT, rel=1e-4)
    assert norms["clip, unscale"] == pytest.approx(LIMIT / SCALE, rel=1e-4)
