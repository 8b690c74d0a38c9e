"""Second streams: formulas by hand and against OpenCV, dark and constant pictures, patches and positions."""

from itertools import product

import cv2
import numpy as np
import pytest
import pywt
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from components.core.errors import BadInput
from components.core.models.second_stream import Saturation, SecondStream, Vegetation
from components.core.models.second_stream_config import (
    HsvSaturation,
    NoSecondStream,
    SecondStreamConfig,
    VegetationIndices,
    WaveletBands,
)

STREAMS = [WaveletBands(), VegetationIndices(), HsvSaturation()]


def picture(size: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue])[None, :, None, None].expand(1, 3, 4, 4)


def test_saturation_is_opencvs() -> None:
    image = picture()
    expected = [cv2.cvtColor(x.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HSV)[..., 1] for x in image]
    np.testing.assert_allclose(Saturation()(image)[:, 0].numpy(), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("rgb", "excess", "vari"),
    [
        ((0.0, 1.0, 0.0), 2.0, 1.0),
        ((1.0, 0.0, 0.0), -1.0, -1.0),
        ((0.0, 0.0, 1.0), -1.0, 0.0),
        ((0.0, 0.0, 0.0), 0.0, 0.0),
        ((1.0, 1.0, 1.0), 0.0, 0.0),
        ((0.2, 0.5, 0.1), 0.875, 0.5),
        ((0.4, 0.3, 0.3), -0.1, -0.25),
        ((0.1, 0.2, 0.9), -0.5, 1.0),
        ((0.0, 1 / 255, 0.0), 2.0, 1 / 25.5),
    ],
)
def test_vegetation_indices_by_hand(rgb: tuple[float, float, float], excess: float, vari: float) -> None:
    found = Vegetation()(colour(*rgb))
    torch.testing.assert_close(found[0, :, 0, 0], torch.tensor([excess, vari]), rtol=1e-5, atol=1e-6)


def test_indices_are_bounded_for_every_colour() -> None:
    levels = [0.0, 1 / 255, 0.01, 0.1, 0.5, 0.99, 1.0]
    colours = torch.tensor(list(product(levels, repeat=3))).T[None, :, None]
    excess, vari = Vegetation()(colours.transpose(2, 3).expand(1, 3, 343, 343)).unbind(1)
    assert excess.min() >= -1 - 1e-6 and excess.max() <= 2 + 1e-6
    assert vari.abs().max() <= 1
    saturation = Saturation()(colours.transpose(2, 3).expand(1, 3, 343, 343))
    assert saturation.min() >= 0 and saturation.max() <= 1


def test_wavelet_bands_are_pywts() -> None:
    stream = WaveletBands(wavelet="db2", scale=3.0).build(16)
    image = picture()
    grey = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).numpy()
    _, details = pywt.dwt2(grey, "db2", mode="periodization", axes=(-2, -1))
    np.testing.assert_allclose(stream.derive(image).numpy(), 3 * np.abs(np.stack(details, 1)), atol=1e-5)


@pytest.mark.parametrize("config", STREAMS, ids=lambda c: c.kind)
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_constant_grey_pictures_give_nothing(config: WaveletBands, value: float) -> None:
    stream = config.build(16)
    image = torch.full((1, 3, 32, 32), value, requires_grad=True)
    derived = stream.derive(image)
    torch.testing.assert_close(derived, torch.zeros_like(derived), rtol=0, atol=1e-5)
    stream.embed(derived).sum().backward()
    assert image.grad is not None and torch.isfinite(image.grad).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in stream.parameters())


@pytest.mark.parametrize("config", STREAMS, ids=lambda c: c.kind)
def test_tokens_of_patches_row_by_row(config: WaveletBands) -> None:
    torch.manual_seed(0)
    stream = config.model_copy(update={"patch": 8}).build(16)
    image, other = picture(), picture()
    other[:, :, 8:16, 24:] = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    changed = (stream(image) != stream(other)).any(-1)
    assert stream(image).shape == (2, 16, 16)
    assert changed.nonzero()[:, 1].unique().tolist() == [7], "second row, last column"
    torch.testing.assert_close(stream(image), stream.embed(stream.derive(image)))


def test_a_token_tells_its_place() -> None:
    tokens = WaveletBands(patch=8).build(16)(torch.zeros(1, 3, 32, 32))[0]
    assert torch.cdist(tokens, tokens).fill_diagonal_(1.0).min() > 0.1


@pytest.mark.parametrize("config", STREAMS, ids=lambda c: c.kind)
def test_the_derivation_has_no_weights(config: WaveletBands) -> None:
    stream = config.build(16)
    assert list(stream.derivation.parameters()) == [] and stream.derivation.state_dict() == {}
    assert {name.split(".")[0] for name, _ in stream.named_parameters()} == {"projection", "norm"}


def test_by_kind() -> None:
    adapter: TypeAdapter[SecondStreamConfig] = TypeAdapter(SecondStreamConfig)
    assert isinstance(adapter.validate_python({"kind": "saturation"}).build(8), SecondStream)
    none = adapter.validate_python({"kind": "none"})
    assert isinstance(none, NoSecondStream) and none.build(8) is None
    with pytest.raises(ValidationError):
        adapter.validate_python({"kind": "vegetation", "wavelet": "haar"})


def test_refusals() -> None:
    with pytest.raises(BadInput, match="sine-cosine"):
        WaveletBands().build(18)
    with pytest.raises(BadInput, match="smaller than a patch"):
        WaveletBands(patch=32).build(16)(picture(16))
    with pytest.raises(ValidationError):
        WaveletBands(patch=5)
