"""Yardsticks of masks: Otsu, the constant mask, and all foreground."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from components.core.baselines import constant_mask, otsu
from components.core.baselines.all_foreground import AllForeground
from components.core.errors import BadInput
from components.core.metrics.overlap import dice

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def disc(height: int, width: int, x: float, y: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:height, :width]
    return ((columns / width - x) ** 2 + (rows / height - y) ** 2) < radius**2


def photograph(mask: Mask, inside: int, outside: int) -> Image:
    generator = np.random.Generator(np.random.Philox(0))
    grey = np.where(mask, inside, outside) + generator.normal(0, 8, mask.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("inside", "outside", "bright"), [(200, 60, True), (40, 150, False)])
def test_otsu_learns_which_side_is_the_foreground(inside: int, outside: int, bright: bool) -> None:
    masks = [disc(40, 50, 0.5, 0.4, 0.2), np.zeros((40, 50), dtype=bool), disc(60, 40, 0.3, 0.5, 0.2)]
    pairs = [(photograph(mask, inside, outside), mask) for mask in masks]
    fitted = otsu.fit(iter(pairs))
    assert fitted == otsu.Otsu(bright=bright)
    assert dice(fitted.predict(pairs[0][0]), masks[0]) > 0.98


def test_otsu_predicts_nothing_on_one_grey() -> None:
    grey = np.full((8, 9, 3), 77, dtype=np.uint8)
    for bright in (True, False):
        predicted = otsu.Otsu(bright=bright).predict(grey)
        assert predicted.shape == (8, 9)
        assert not predicted.any()


def naive_threshold(mean: NDArray[np.float32], masks: list[Mask]) -> float:
    thresholds = np.linspace(0, float(mean.max()), constant_mask.CANDIDATES + 2)[1:-1]
    scores = [np.mean([dice(mean > threshold, mask) for mask in masks]) for threshold in thresholds]
    return float(thresholds[int(np.argmax(scores))])


def test_the_constant_mask_finds_what_position_tells() -> None:
    train = [disc(64, 64, 0.5 + 0.03 * step, 0.4, 0.2) for step in range(-3, 4)]
    validation = [disc(64, 64, 0.48, 0.42, 0.2), np.zeros((64, 64), dtype=bool)]
    fitted = constant_mask.fit(iter(train), iter(validation), side=64)
    assert fitted.threshold == pytest.approx(naive_threshold(fitted.mean, validation[:1]))
    other_size = photograph(disc(90, 120, 0.5, 0.4, 0.2), 200, 60)
    predicted = fitted.predict(other_size)
    assert predicted.shape == (90, 120)
    assert dice(predicted, disc(90, 120, 0.5, 0.4, 0.2)) > 0.9
    assert not np.array_equal(predicted, AllForeground().predict(other_size))


def test_masks_of_different_sizes_are_averaged_in_one_square() -> None:
    small, large = disc(32, 32, 0.5, 0.5, 0.25), disc(128, 96, 0.5, 0.5, 0.25)
    fitted = constant_mask.fit([small, large], [large], side=32)
    expected = cv2.resize(large.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(fitted.mean, (small + expected) / 2, atol=1e-6)


def test_without_foreground_there_is_nothing_to_fit() -> None:
    empty = np.zeros((8, 8), dtype=bool)
    full = ~empty
    with pytest.raises(BadInput, match="train"):
        constant_mask.fit([empty], [full])
    with pytest.raises(BadInput, match="validation"):
        constant_mask.fit([full], [])
    with pytest.raises(BadInput, match="foreground"):
        otsu.fit([(photograph(empty, 1, 2), empty)])


def test_all_foreground() -> None:
    assert AllForeground().predict(np.zeros((3, 5, 3), dtype=np.uint8)).tolist() == [[True] * 5] * 3
