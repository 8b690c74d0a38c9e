"""The wavelet stream against PyWavelets, its gradients, and its fixed scale."""

import numpy as np
import pytest
import pywt
import torch

from components.core.errors import BadInput
from components.core.models.wavelet import WaveletStream


@pytest.mark.parametrize("name", ["haar", "db4", "sym4", "coif1", "db2"])
@pytest.mark.parametrize("size", [(16, 16), (33, 20), (18, 31), (17, 17)])
def test_equals_pywt(name: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    approximation, details = pywt.dwt2(image, name, mode="periodization", axes=(-2, -1))
    expected = np.stack([approximation, *details], axis=2)
    np.testing.assert_allclose(WaveletStream(name)(torch.from_numpy(image)).numpy(), expected, atol=1e-5)


def test_is_differentiable_and_deterministic() -> None:
    image = torch.rand(2, 3, 12, 10, dtype=torch.float64, requires_grad=True)
    stream = WaveletStream("db2").double()
    assert torch.autograd.gradcheck(stream.high_frequency, (image,))


def test_scale_is_fixed_not_per_image() -> None:
    image = torch.rand(1, 3, 16, 16)
    stream = WaveletStream()
    torch.testing.assert_close(stream.bands(image * 0.1), stream.bands(image) * 0.1)


def test_signed_bands_do_not_cancel() -> None:
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[..., ::2] = 1.0
    bands = WaveletStream().bands(stripes)
    assert bands[:, 1].min() > 1.0, "vertical stripes are details along the columns"
    assert bands[:, [0, 2]].abs().max() == 0.0


def test_high_frequency_has_the_image_size() -> None:
    assert WaveletStream().high_frequency(torch.rand(2, 3, 21, 16)).shape == (2, 3, 21, 16)


@pytest.mark.parametrize("name", ["nonsense", "bior2.2"])
def test_refuses_what_is_not_an_orthogonal_wavelet(name: str) -> None:
    with pytest.raises(BadInput):
        WaveletStream(name)


def test_refuses_images_smaller_than_the_filter() -> None:
    with pytest.raises(BadInput, match="smaller than"):
        WaveletStream("db4")(torch.rand(1, 1, 6, 16))
