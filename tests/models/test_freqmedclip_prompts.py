"""Saliency to prompts: thresholds, components, geometry, and what an empty saliency does."""

import numpy as np
import pytest
from numpy.typing import NDArray

from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.prompts import binarise, box_of, largest_components, point_of, propose

THRESHOLDS = ["fixed", "otsu", "kmeans"]


def two_blobs(low: float = 0.1, high: float = 0.9) -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 0.02, (32, 32))
    picture = np.full((32, 32), low) + noise
    picture[4:10, 6:16] = high  # rows 4-9, columns 6-15
    picture[20:24, 20:23] = high
    return picture.clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("method", THRESHOLDS)
def test_binarise_finds_the_blobs(method: str) -> None:
    mask = binarise(two_blobs(), Prompting(binarise=method))
    assert mask.sum() == 6 * 10 + 4 * 3


@pytest.mark.parametrize(("method", "found"), [("fixed", 0), ("otsu", 72), ("kmeans", 72)])
def test_adaptive_thresholds_find_faint_blobs(method: str, found: int) -> None:
    assert binarise(two_blobs(0.1, 0.3), Prompting(binarise=method)).sum() == found


def test_otsu_equals_a_search_over_all_thresholds() -> None:
    values = np.random.default_rng(1).beta(2, 5, 400).astype(np.float32).reshape(20, 20)
    values[:5] = (values[:5] + 2) / 3
    levels = np.round((values - values.min()) / (values.max() - values.min()) * 255)
    spread = [
        (levels > t).mean() * (levels <= t).mean() * (levels[levels > t].mean() - levels[levels <= t].mean()) ** 2
        for t in range(255)
    ]
    expected = levels > int(np.argmax(spread))
    np.testing.assert_array_equal(binarise(values, Prompting(binarise="otsu")), expected)


def test_two_means_is_a_fixed_point() -> None:
    values = two_blobs()
    mask = binarise(values, Prompting(binarise="kmeans"))
    middle = (values[mask].mean() + values[~mask].mean()) / 2
    np.testing.assert_array_equal(mask, values > middle)


@pytest.mark.parametrize("method", THRESHOLDS)
@pytest.mark.parametrize(("level", "empty"), [(0.0, True), (0.2, True), (1.0, False)])
def test_a_flat_map_has_no_two_classes(method: str, level: float, empty: bool) -> None:
    found = propose(np.full((8, 8), level, np.float32), Prompting(binarise=method), 8)
    assert found.empty is empty
    np.testing.assert_array_equal(found.boxes, [[0, 0, 7, 7]])


def test_components_by_size_then_place() -> None:
    mask = np.zeros((8, 8), bool)
    mask[0, 0] = mask[0, 4] = True
    mask[5:7, 5:7] = True
    mask[7, 4] = True  # touches the square by a corner: 8-connected
    parts = largest_components(mask, 3)
    assert [int(part.sum()) for part in parts] == [5, 1, 1]
    assert parts[1][0, 0]
    assert parts[2][0, 4]
    assert len(largest_components(mask, 3, min_area=2 / 64)) == 1
    assert largest_components(np.zeros((4, 4), bool), 3) == []


def test_boxes_and_points_are_inside_and_scaled() -> None:
    found = propose(two_blobs(), Prompting(components=2), 64)
    # Pixel centres: column 6 of 32 is covered by columns 12 and 13 of 64, centre 12.5.
    np.testing.assert_allclose(found.boxes, [[12.5, 8.5, 30.5, 18.5], [40.5, 40.5, 44.5, 46.5]])
    assert all(x0 < x < x1 and y0 < y < y1 for (x0, y0, x1, y1), (x, y) in zip(found.boxes, found.points, strict=True))


def test_missing_components_repeat_the_first() -> None:
    found = propose(two_blobs(), Prompting(components=4), 32)
    assert found.boxes.shape == (4, 4)
    np.testing.assert_array_equal(found.boxes[2:], found.boxes[[0, 0]])
    np.testing.assert_array_equal(found.points[2:], found.points[[0, 0]])


def test_an_empty_map_points_at_its_peak() -> None:
    values = np.full((8, 8), 0.1, np.float32)
    values[2, 5] = 0.4
    found = propose(values, Prompting(), 8)
    assert found.empty
    np.testing.assert_array_equal(found.points, [[5, 2]])


def test_point_is_deepest_and_inside_a_ring() -> None:
    ring = np.zeros((15, 15), bool)
    ring[2:13, 2:13] = True
    ring[6:9, 6:9] = False
    column, row = point_of(ring)
    assert ring[row, column]
    assert box_of(ring) == (2, 2, 12, 12)
