"""Views and inverses: the TTA of an equivariant model is its plain prediction."""

import numpy as np
import pytest
from pydantic import ValidationError

from components.core.tta import VIEWS, Map, Picture, Tta

ALL = tuple(VIEWS)


def picture(height: int, width: int, *channels: int) -> Picture:
    return np.random.default_rng(0).random((height, width, *channels))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(5, 7), (4, 4), (3, 6, 3)])
def test_every_view_has_its_inverse(name: str, shape: tuple[int, ...]) -> None:
    image = picture(*shape)
    np.testing.assert_array_equal(VIEWS[name].invert(VIEWS[name].apply(image)), image)


@pytest.mark.parametrize("name", set(ALL) - {"identity"})
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
    for views in [(), ("identity", "identity"), ("mirror",)]:
        with pytest.raises(ValidationError):
            Tta.model_validate({"views": views})
