"""SimCLR's views: torchvision's operations and distributions, as a pure function of integers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as F

from components.core.augment.joint import Image, resize_image
from components.core.augment.randomness import generator
from components.core.augment.simclr import AnyViews, ColourViews, GreyViews, Views, crop_of, factor
from components.core.augment.simclr_colours import brighten, grey, saturate, spread, turn_hue

OFF = {"flip_horizontal": 0, "jitter": 0, "blur": 0}


def picture(height: int = 90, width: int = 120, seed: int = 0) -> Image:
    """Smooth colours of all hues, light and dark, with some noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + random.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def pixels(image: torch.Tensor) -> np.ndarray:
    return (image * 255).permute(1, 2, 0).numpy()


OPERATIONS = [
    *[(brighten, F.adjust_brightness, value, 1) for value in (0.2, 0.9, 1.8)],
    *[(spread, F.adjust_contrast, value, 1) for value in (0.2, 0.9, 1.8)],
    *[(saturate, F.adjust_saturation, value, 1) for value in (0.0, 0.2, 0.9, 1.8)],
    *[(turn_hue, F.adjust_hue, value, 1) for value in (-0.5, -0.2, -0.05, 0.0, 0.2, 0.5)],
]


@pytest.mark.parametrize(("ours", "theirs", "value", "most"), OPERATIONS)
def test_an_operation_is_torchvisions_within_rounding(ours, theirs, value: float, most: float) -> None:  # type: ignore[no-untyped-def]
    """Its own on floats, which rounds nothing."""
    image = picture()
    apart = np.abs(ours(image, value).astype(float) - pixels(theirs(tensor(image), value)))
    assert apart.max() <= most
    assert apart.mean() < 0.5


def test_grey_is_torchvisions_within_rounding() -> None:
    expected = pixels(F.rgb_to_grayscale(tensor(picture()), 3))
    assert np.abs(grey(picture()).astype(float) - expected).max() <= 1


def test_operations_leave_what_they_are_given() -> None:
    image = picture()
    kept = image.copy()
    for change in (brighten, spread, saturate, turn_hue):
        assert not np.shares_memory(change(image, 0.3), image)
    ColourViews().apply(image, 48, 0, (1,))
    assert np.array_equal(image, kept)


@pytest.mark.parametrize(("height", "width"), [(100, 100), (60, 160), (30, 500)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    torch.manual_seed(0)
    blank = torch.zeros(3, height, width)
    theirs = np.array([RandomResizedCrop.get_params(blank, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)])
    ours = np.array(
        [crop_of(height, width, 0.2, 4 / 3, iter(generator(7, n).random(60).tolist())) for n in range(3000)]
    )
    assert (ours[:, :2] >= 0).all() and (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    for column, name in enumerate(("top", "left", "height", "width")):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3, name
    assert ks_2samp(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]).pvalue > 1e-3


def test_factors_are_torchvisions_range() -> None:
    assert [factor(0.8, drawn) for drawn in (0.0, 0.5, 1.0)] == pytest.approx([0.2, 1.0, 1.8])
    assert [factor(1.5, drawn) for drawn in (0.0, 1.0)] == pytest.approx([0.0, 2.5])


@pytest.mark.parametrize("views", [ColourViews(), GreyViews()])
def test_a_view_is_a_pure_function_of_its_key(views: Views) -> None:
    image = picture()
    keys = [(3, source, side) for source in range(20) for side in range(2)]
    alone = [views.apply(image, 48, 0, key) for key in keys]
    np.random.seed(1)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda key: views.apply(image, 48, 0, key), reversed(keys)))[::-1]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))
    assert len({view.tobytes() for view in alone}) == len(keys)
    assert {(view.shape, view.dtype, view.flags["C_CONTIGUOUS"]) for view in alone} == {
        ((48, 48, 3), np.dtype("uint8"), True)
    }
    assert not np.array_equal(views.apply(image, 48, 1, keys[0]), alone[0])


def test_the_identity_is_the_picture_squashed() -> None:
    assert np.array_equal(ColourViews().apply(picture(), 48, 0, ()), resize_image(picture(), 48))


def test_each_key_does_what_it_says_and_nothing_else() -> None:
    image, whole = picture(), {"crop": 1.0, "proportions": 1.0}
    square = picture(90, 90)
    plain = ColourViews(**OFF, **whole, grey=0)
    assert np.abs(plain.apply(square, 48, 0, (1,)).astype(int) - resize_image(square, 48)).max() <= 1
    for changes, expected in (
        ({"flip_horizontal": 1}, plain.apply(square, 48, 0, (1,))[:, ::-1]),
        ({"flip_vertical": 1}, plain.apply(square, 48, 0, (1,))[::-1]),
        ({"grey": 1}, grey(plain.apply(square, 48, 0, (1,)))),
        ({"blur": 1, "sigma": (1.5, 1.5)}, cv2.GaussianBlur(plain.apply(square, 48, 0, (1,)), (0, 0), 1.5)),
    ):
        assert np.array_equal(plain.model_copy(update=changes).apply(square, 48, 0, (1,)), expected), changes
    cropped = ColourViews(**OFF, grey=0)
    still = ColourViews(**{**OFF, "jitter": 1}, grey=0, brightness=0, contrast=0, saturation=0, hue=0)
    assert np.abs(still.apply(image, 48, 0, (5,)).astype(int) - cropped.apply(image, 48, 0, (5,))).max() <= 1


@pytest.mark.parametrize(("chance", "key"), [(0.5, "flip_horizontal"), (0.2, "grey"), (0.8, "jitter"), (0.5, "blur")])
def test_what_may_happen_happens_that_often(chance: float, key: str) -> None:
    image = picture(40, 40)
    never = ColourViews(crop=1.0, proportions=1.0, flip_horizontal=0, jitter=0, grey=0, blur=0, sigma=(1, 2))
    sometimes = never.model_copy(update={key: chance})
    expected = never.apply(image, 32, 0, (0,))
    happened = np.mean([not np.array_equal(sometimes.apply(image, 32, 0, (n,)), expected) for n in range(1500)])
    assert happened == pytest.approx(chance, abs=0.05)


def test_grey_pictures_stay_grey() -> None:
    """In the preset `grey`; the one for colours keeps them grey too, but spends its strength on nothing."""
    image = grey(picture())
    for source in range(30):
        view = GreyViews().apply(image, 48, 0, (source,))
        assert (view == view[:, :, :1]).all()


def test_a_preset_has_no_keys_of_the_other() -> None:
    choose = TypeAdapter(AnyViews).validate_python
    assert choose({"preset": "colour", "hue": 0.1}) == ColourViews(hue=0.1)
    assert choose({"preset": "grey", "crop": 0.5}) == GreyViews(crop=0.5)
    for wrong in ({"preset": "grey", "hue": 0.1}, {"preset": "gray"}, {"preset": "colour", "sigma": (2, 1)}):
        with pytest.raises(ValidationError):
            choose(wrong)


def test_the_values_need_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import components.core.augment.simclr"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
