"""DFCA: the second stream decides, everything learns from the first step, the mask gates, any grid."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from components.core.errors import BadInput
from components.core.models.dfca import Dfca, DiseaseMask, interpolation
from components.core.models.dfca_config import DfcaConfig
from components.core.models.second_stream import SecondStream
from components.core.models.second_stream_config import WaveletBands

WIDTH = 32


@pytest.fixture
def dfca() -> Dfca:
    torch.manual_seed(0)
    return DfcaConfig(heads=4, mask_grid=4).build(WIDTH).eval()


@pytest.fixture
def stream() -> SecondStream:
    torch.manual_seed(1)
    return WaveletBands(patch=8).build(WIDTH)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(2, 9, WIDTH, generator=torch.Generator().manual_seed(2))


def picture(seed: int = 3) -> Tensor:
    return torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(seed))


def test_only_the_second_stream_changed(dfca: Dfca, stream: SecondStream, tokens: Tensor) -> None:
    with torch.no_grad():
        first, second = dfca(tokens, stream(picture(3))), dfca(tokens, stream(picture(4)))
    assert (first - second).abs().max() > 1e-4


def test_everything_learns_from_the_first_step(dfca: Dfca, stream: SecondStream, tokens: Tensor) -> None:
    weights = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(5))
    (dfca(tokens, stream(picture())) * weights).sum().backward()
    for module in (dfca, stream):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_training_starts_near_the_model_without_it(dfca: Dfca, stream: SecondStream, tokens: Tensor) -> None:
    with torch.no_grad():
        change = dfca(tokens, stream(picture())) - tokens
    assert 0 < change.norm() < 0.2 * tokens.norm()


def test_equals_the_equations(dfca: Dfca, tokens: Tensor) -> None:
    """Written out with softmax over scaled products, head by head."""
    second = torch.randn(2, 16, WIDTH, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        for parameter in dfca.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
        gate = 2 * torch.sigmoid(dfca.mask.logits).reshape(16, 1)
        keys = dfca.second_norm(second) * gate
        weight, bias = dfca.attention.in_proj_weight, dfca.attention.in_proj_bias
        q, k, v = (
            F.linear(x, w, b).unflatten(-1, (4, 8)).transpose(1, 2)
            for x, w, b in zip((dfca.query_norm(tokens), keys, keys), weight.chunk(3), bias.chunk(3), strict=True)
        )
        attention = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1)
        found = dfca.attention.out_proj((attention @ v).transpose(1, 2).flatten(2))
        middle = tokens + dfca.attention_scale.gamma * found
        expected = middle + dfca.ffn_scale.gamma * dfca.ffn(dfca.ffn_norm(middle))
        torch.testing.assert_close(dfca(tokens, second), expected, rtol=1e-5, atol=1e-5)
        looked = attention.mean((1, 2)) * gate.flatten()
        torch.testing.assert_close(dfca.relevance(tokens, second), looked, rtol=1e-5, atol=1e-6)


def test_a_closed_gate_hides_a_place(dfca: Dfca, tokens: Tensor) -> None:
    second = torch.randn(2, 16, WIDTH, generator=torch.Generator().manual_seed(6))
    other = second.clone()
    other[:, 5] = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        assert not torch.allclose(dfca(tokens, second), dfca(tokens, other))
        dfca.mask.logits[1, 1] = -200.0
        assert torch.equal(dfca(tokens, second), dfca(tokens, other))


@pytest.mark.parametrize("side", [1, 3, 4, 7, 16])
def test_the_mask_is_interpolated_bilinearly(side: int) -> None:
    mask = DiseaseMask(4)
    with torch.no_grad():
        mask.logits.copy_(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    expected = F.interpolate(mask.logits[None, None], (side, side), mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(mask(side), 2 * torch.sigmoid(expected))


def test_interpolation_keeps_constants() -> None:
    torch.testing.assert_close(interpolation(5, 12).sum(1), torch.ones(12))
    assert torch.equal(interpolation(6, 6), torch.eye(6))


@pytest.mark.parametrize("size", [16, 40, 64])
def test_any_image_size(dfca: Dfca, stream: SecondStream, tokens: Tensor, size: int) -> None:
    assert dfca(tokens, stream(torch.rand(2, 3, size, size))).shape == tokens.shape


def test_samples_do_not_mix(dfca: Dfca, tokens: Tensor) -> None:
    second = torch.randn(2, 16, WIDTH, generator=torch.Generator().manual_seed(6))
    both = dfca(tokens, second)
    torch.testing.assert_close(both[1:], dfca(tokens[1:], second[1:]))


def test_drop_path_drops_whole_branches() -> None:
    torch.manual_seed(0)
    dfca = DfcaConfig(heads=4, drop_path=0.9).build(WIDTH).train()
    tokens, second = torch.randn(64, 4, WIDTH), torch.randn(64, 16, WIDTH)
    untouched = (dfca(tokens, second) == tokens).all(dim=(1, 2)).float().mean()
    assert 0.6 < untouched < 0.95


def test_refuses_heads_that_do_not_divide() -> None:
    with pytest.raises(BadInput, match="heads"):
        DfcaConfig(heads=5).build(WIDTH)


def test_refuses_tokens_of_no_grid(dfca: Dfca, tokens: Tensor) -> None:
    with pytest.raises(ValueError, match="square"):
        dfca(tokens, torch.randn(2, 15, WIDTH))
