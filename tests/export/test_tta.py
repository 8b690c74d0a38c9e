"""Views and inverses: the TTA of an equivariant model is its plain prediction."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from components.core.tta import VIEWS, Map, Picture, Tta, view

ALL = tuple(VIEWS)


def picture(height: int, width: int, *channels: int) -> Picture:
    return np.random.default_rng(0).random((height, width, *channels))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (3, 6, 3)])
def test_every_view_has_its_inverse(name: str, shape: tuple[int, ...]) -> None:
    image = picture(*shape)
    np.testing.assert_array_equal(VIEWS[name].invert(VIEWS[name].apply(image)), image)


@pytest.mark.parametrize("name", [name for name in ALL if name != "identity"])
def test_every_view_differs_from_the_identity(name: str) -> None:
    image = picture(5, 5)
    assert not np.array_equal(VIEWS[name].apply(image), image)


def equivariant(image: Picture) -> Map:
    """Says the same of a pixel however the picture lies: its value against the mean of its eight neighbours."""
    padded = np.pad(image.mean(axis=2), 1, mode="edge")
    height, width = image.shape[:2]
    around = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3))
    return np.asarray(1 / (1 + np.exp(np.asarray(around) / 9 - image[:, :, 0])), dtype=np.float32)


def test_an_equivariant_model_is_unchanged_by_any_policy() -> None:
    image = picture(9, 9, 3)
    np.testing.assert_allclose(Tta(views=ALL).average(equivariant, image), equivariant(image), atol=1e-6)


def test_a_model_that_is_not_equivariant_is_changed() -> None:
    image = picture(9, 9, 3)

    def ramp(shown: Picture) -> Map:
        return np.asarray(shown[:, :, 0] * np.linspace(0, 1, 9), dtype=np.float32)

    averaged = Tta(views=("identity", "flip_horizontal")).average(ramp, image)
    np.testing.assert_allclose(averaged, image[:, :, 0] * 0.5, atol=1e-6)


def test_maps_of_another_size_than_the_picture_are_brought_back() -> None:
    image = picture(8, 8, 3)
    plain = Tta().average(lambda shown: np.asarray(shown[::2, ::2, 0] + shown[1::2, 1::2, 0], np.float32), image)
    assert plain.shape == (4, 4)

    def pooled(shown: Picture) -> Map:
        return np.asarray(shown[:, :, 0].reshape(4, 2, 4, 2).mean(axis=(1, 3)), np.float32)

    np.testing.assert_allclose(Tta(views=ALL).average(pooled, image), pooled(image), atol=1e-6)


def test_all_sizes_of_a_picture_are_shown_in_the_same_view() -> None:
    small, large = np.zeros((2, 2), np.uint8), np.zeros((4, 4), np.uint8)
    small[0, 0], large[0, 0] = 1, 1
    seen: list[tuple[int, int]] = []

    def predict(one: Picture, other: Picture) -> Map:
        seen.append((int(np.argmax(one)), int(np.argmax(other))))
        return np.zeros((2, 2), np.float32)

    Tta(views=("identity", "flip_horizontal", "flip_vertical")).average(predict, small, large)
    assert seen == [(0, 0), (1, 3), (2, 12)]


def test_a_policy_names_known_views_once() -> None:
    for views in [(), ("identity", "identity"), ("mirror",), ("scale_1",), ("scale_9",), ("scale_",)]:
        with pytest.raises(ValidationError):
            Tta.model_validate({"views": views})
    assert Tta().plain
    assert not Tta(views=("identity", "scale_0.9")).plain


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.25, 2.0])
@pytest.mark.parametrize("shape", [(9, 9, 3), (8, 12, 3), (7, 5)])
def test_a_scale_view_is_torch_s_zoom_about_the_centre(factor: float, shape: tuple[int, ...]) -> None:
    image = picture(*shape)
    channels = image if image.ndim == 3 else image[:, :, None]
    moved = torch.from_numpy(channels).permute(2, 0, 1)[None]
    zoom = torch.tensor([[[1 / factor, 0, 0], [0, 1 / factor, 0]]], dtype=torch.float64)
    grid = F.affine_grid(zoom, list(moved.shape), align_corners=False)
    expected = F.grid_sample(moved, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0).numpy()
    shown = view(f"scale_{factor}").apply(image)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown.reshape(channels.shape), expected, atol=1e-6)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_map_of_a_scale_view_lies_where_the_picture_does(factor: float) -> None:
    """Bilinear sampling keeps a ramp as it is, so that zooming out and back is exact wherever the view shows it."""
    ramp = np.add.outer(np.arange(20.0), 2 * np.arange(20.0))
    one = view(f"scale_{factor}")
    found = one.invert(one.apply(ramp))
    shown = ~np.isnan(found)
    assert shown.all() == one.whole
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    assert shown[np.ix_(rows, columns)].all()
    assert len(rows) == len(columns) == (20 if factor < 1 else 16)
    inner = np.s_[4:-4, 4:-4]  # border pixels are repeated, not continued
    np.testing.assert_allclose(found[inner], ramp[inner], atol=1e-4)


def test_what_a_view_does_not_show_is_left_out_of_the_mean() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    calls = iter((0.2, 0.6))
    averaged = Tta(views=("identity", "scale_2.0")).average(
        lambda shown: np.full(shown.shape[:2], next(calls), np.float32), image
    )
    np.testing.assert_allclose(averaged[3:7, 3:7], 0.4, atol=1e-6)
    np.testing.assert_allclose(averaged[[0, 1, -1]], 0.2, atol=1e-6)
    with pytest.raises(ValidationError, match="add identity"):
        Tta(views=("scale_1.1",))


def test_answers_about_the_whole_picture_are_averaged_as_they_are() -> None:
    image = picture(6, 6, 3)

    def corner(shown: Picture) -> Map:
        return np.asarray([shown[0, 0, 0], 1 - shown[0, 0, 0]], np.float32)

    averaged = Tta(views=("identity", "flip_horizontal")).average(corner, image)
    expected = (image[0, 0, 0] + image[0, -1, 0]) / 2
    np.testing.assert_allclose(averaged, [expected, 1 - expected], atol=1e-6)
