"""Synthetic pictures: two lesion kinds that no threshold finds."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from components.core.data.describe import is_synthetic
from components.recipes.freqmedclip.data import FreqMedClipData
from components.recipes.freqmedclip.synthetic import DARK_ELLIPSE, SPICULATED_MASS, Synthetic, draw

SETTINGS = Synthetic()
PICTURES = [draw(SETTINGS, index) for index in range(40)]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("kind", [DARK_ELLIPSE, SPICULATED_MASS])
@pytest.mark.parametrize("blur", [0, 2])
def test_otsu_finds_neither(kind: int, blur: int) -> None:
    scores = []
    for image, mask in PICTURES:
        seen = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
        bright = cv2.threshold(seen, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1] == 1
        scores.append(max(dice(bright, mask == kind), dice(~bright, mask == kind)))
    assert np.mean(scores) < 0.4


def test_both_kinds_are_visible_and_of_some_size() -> None:
    for image, mask in PICTURES:
        tissue = image[mask == 0].mean()
        assert image[mask == DARK_ELLIPSE].mean() < 0.6 * tissue
        assert image[mask == SPICULATED_MASS].mean() > 1.2 * tissue
        for kind in (DARK_ELLIPSE, SPICULATED_MASS):
            assert 0.015 < (mask == kind).mean() < 0.15
            assert cv2.connectedComponents((mask == kind).astype(np.uint8))[0] == 2


def test_pictures_are_functions_of_seed_and_index() -> None:
    again, _ = draw(SETTINGS, 3)
    assert np.array_equal(again, PICTURES[3][0])
    other, _ = draw(Synthetic(seed=1), 3)
    assert other.shape != again.shape or not np.array_equal(other, again)
    assert len({image.tobytes() for image, _ in PICTURES}) == len(PICTURES)


def test_sizes_stay_in_range() -> None:
    sides = {side for image, _ in PICTURES for side in image.shape}
    assert min(sides) >= 96 and max(sides) <= 128 and len(sides) > 5


def test_what_is_written_is_read_and_says_what_it_is(tmp_path: Path) -> None:
    data = FreqMedClipData(synthetic=Synthetic(images=6))
    data.synthesize(tmp_path)
    assert is_synthetic(tmp_path)
    cases = data.read(tmp_path)
    assert [case.id for case in cases] == [f"synthetic-{index:04d}" for index in range(6)]
    assert len({case.group for case in cases}) == 3 and {case.stratum for case in cases} == {"fatty", "dense"}
    image, mask = draw(data.synthetic, 4)
    loaded = cases[4].load()
    assert np.array_equal(loaded["image"][:, :, 0], image) and np.array_equal(loaded["mask"], mask)
