"""Projection, gate and saliency head: shapes, sizes, and what reaches what."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from components.recipes.freqmedclip.gate import FeatureFusionGate
from components.recipes.freqmedclip.projection import HighFreqProjection, strides
from components.recipes.freqmedclip.saliency_head import SaliencyHead


@pytest.mark.parametrize(
    ("size", "patch", "width"), [(224, 16, 768), (96, 8, 128), (64, 8, 64), (64, 4, 32), (64, 32, 32), (98, 14, 16)]
)
def test_projection_gives_the_token_grid(size: int, patch: int, width: int) -> None:
    projection = HighFreqProjection(width, patch)
    assert projection(torch.rand(1, 3, size, size)).shape == (1, (size // patch) ** 2, width)


def test_projection_has_about_one_and_a_half_million_parameters() -> None:
    count = sum(parameter.numel() for parameter in HighFreqProjection(768, 16).parameters())
    assert 1.4e6 < count < 1.7e6


@pytest.mark.parametrize("patch", [1, 2, 4, 8, 14, 16, 32])
def test_strides_multiply_to_the_patch(patch: int) -> None:
    first, second = strides(patch)
    assert first * second == patch
    assert first >= second


def test_projection_tokens_lie_where_the_pixels_are() -> None:
    torch.manual_seed(0)
    projection = HighFreqProjection(16, 8).eval()
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    tokens = picture  # without the norms, which see the whole picture: the convolutions say where a token looks
    for layer in projection.convolutions:
        tokens = layer(tokens) if isinstance(layer, torch.nn.Conv2d) else tokens
    tokens[0, :, 5, 2].square().sum().backward()
    assert picture.grad is not None
    rows, columns = picture.grad[0].abs().sum(dim=0).nonzero().T
    centre = (float(rows.min() + rows.max()) / 2, float(columns.min() + columns.max()) / 2)
    assert centre == (5 * 8 + 3.5, 2 * 8 + 3.5)


def test_gate_formula_and_start() -> None:
    torch.manual_seed(0)
    gate = FeatureFusionGate(16)
    patch, freq = torch.randn(2, 4, 16), torch.randn(2, 4, 16)
    assert gate.fusion_alpha.item() == pytest.approx(0.1)
    weight = gate.gate(torch.cat([patch, freq], dim=-1))
    assert weight.shape == (2, 4, 1)
    assert ((weight > 0) & (weight < 1)).all()
    torch.testing.assert_close(gate(patch, freq), patch + 0.1 * weight * gate.freq_transform(freq))
    with torch.no_grad():
        gate.fusion_alpha.zero_()
    assert torch.equal(gate(patch, freq), patch)


def test_gate_refuses_mismatched_token_counts() -> None:
    with pytest.raises(ValueError, match="4 patch tokens but 9 frequency tokens"):
        FeatureFusionGate(8)(torch.zeros(1, 4, 8), torch.zeros(1, 9, 8))


def head_inputs(joint: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    patch = F.normalize(torch.randn(2, 16, joint, generator=generator), dim=-1)
    text = F.normalize(torch.randn(2, joint, generator=generator), dim=-1)
    return patch, text, torch.rand(2, 3, 16, 16, generator=generator)


@pytest.mark.parametrize("size", [16, 8])
def test_head_shapes(size: int) -> None:
    coarse, refined = SaliencyHead(16, 8, size)(*head_inputs())
    assert coarse.shape == (2, 1, 4, 4)
    assert refined.shape == (2, 1, size, size)


def test_coarse_logits_are_scaled_cosines() -> None:
    head = SaliencyHead(16, 8, 16)
    patch, text, bands = head_inputs()
    coarse, _ = head(patch, text, bands)
    cosines = F.cosine_similarity(patch, text[:, None], dim=-1).reshape(2, 1, 4, 4)
    torch.testing.assert_close(coarse, cosines / 0.07)


def test_refined_logits_follow_text_bands_and_gradients() -> None:
    torch.manual_seed(0)
    head = SaliencyHead(16, 8, 16)
    patch, text, bands = (value.requires_grad_(True) for value in head_inputs())
    _, refined = head(patch, text, bands)
    refined.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in (patch, text, bands))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())
    with torch.no_grad():
        assert not torch.allclose(head(patch, -text, bands)[1], refined)
        assert not torch.allclose(head(patch, text, 1 - bands)[1], refined)


def test_no_sample_depends_on_its_batch() -> None:
    """In double precision: in single, a convolution adds in other orders by batch and threads, a few 1e-6 apart."""
    torch.manual_seed(0)
    projection, head = HighFreqProjection(16, 8).double(), SaliencyHead(16, 8, 16).double()
    picture = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(projection(picture)[1:2], projection(picture[1:2]), atol=1e-6, rtol=1e-5)
    patch, text, bands = (each.double() for each in head_inputs())
    torch.testing.assert_close(
        head(patch, text, bands)[1][:1], head(patch[:1], text[:1], bands[:1])[1], atol=1e-5, rtol=1e-5
    )
