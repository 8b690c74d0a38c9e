"""COCO masks, against the COCO API itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from components.core.data.rle import decode_compressed, decode_runs, fill_polygon


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_compressed_runs_are_what_the_coco_api_wrote(mask: np.ndarray) -> None:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(decode_compressed(encoded["counts"].decode(), *mask.shape), mask)


def test_large_runs_and_negative_differences() -> None:
    mask = np.zeros((600, 700), np.uint8)
    mask[100:500, 50:650] = 1
    mask[3, 5] = mask[599, 699] = 1
    encoded = coco.encode(np.asfortranarray(mask))
    assert np.array_equal(decode_compressed(encoded["counts"].decode(), 600, 700), mask)


def test_plain_runs_go_down_the_columns() -> None:
    assert decode_runs([1, 2, 3], 3, 2).tolist() == [[False, False], [True, False], [True, False]]
    assert decode_runs([0, 6], 3, 2).all()


@pytest.mark.parametrize("sides", [3, 5, 40])
def test_polygons_agree_with_the_coco_api(sides: int) -> None:
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    points = np.stack([60 + 40.3 * np.cos(angles), 45 + 30.7 * np.sin(angles)], axis=1)
    (runs,) = coco.frPyObjects([points.reshape(-1).tolist()], 90, 120)
    truth = decode_compressed(runs["counts"].decode(), 90, 120)
    ours = fill_polygon(points, 90, 120)
    assert (ours & truth).sum() / (ours | truth).sum() > 0.97
    centre = np.argwhere(ours).mean(axis=0) - np.argwhere(truth).mean(axis=0)
    assert np.abs(centre).max() < 0.3  # no shift by half a pixel


def test_polygons_far_outside_do_not_overflow() -> None:
    assert fill_polygon(np.array([[-1e12, -1e12], [1e12, -1e12], [1e12, 1e12], [-1e12, 1e12]]), 4, 4).all()


@pytest.mark.parametrize("counts", [[1, 2], [-1, 7], [2, 5]])
def test_runs_that_do_not_fill_the_picture(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="run lengths sum"):
        decode_runs(counts, 3, 2)


@pytest.mark.parametrize(("text", "message"), [("o", "end within a number"), ("1\x01", "does not occur")])
def test_texts_that_are_no_runs(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_compressed(text, 3, 2)


def test_polygons_that_are_none() -> None:
    with pytest.raises(ValueError, match="3 or more"):
        fill_polygon(np.zeros((2, 2)), 4, 4)
