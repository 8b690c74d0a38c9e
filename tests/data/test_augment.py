"""Joint augmentation: pure, in step on picture and mask, and the identity for the empty key."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.augment.joint import Augment, resize_image, resize_mask
from components.core.augment.randomness import generator

STILL = Augment(flip_horizontal=0, flip_vertical=0, rotation=0, scale=0, gamma=0, contrast=0, speckle=0)


def blob(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((height, width), np.uint8)
    centre = (int(width * 0.4), int(height * 0.45))
    cv2.ellipse(mask, centre, (width // 5, height // 6), 20, 0, 360, (1,), -1)
    return np.repeat(mask[:, :, None], 3, axis=2) * np.uint8(255), mask


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(60, 300), st.integers(60, 300), st.sampled_from([48, 96, 160]), st.integers(0, 99))
def test_picture_and_mask_move_together(height: int, width: int, size: int, view: int) -> None:
    image, mask = blob(height, width)
    moving = STILL.model_copy(update={"flip_horizontal": 0.5, "flip_vertical": 0.5, "rotation": 15.0, "scale": 0.1})
    seen, labels = moving.apply(image, mask, size, 0, (view,))
    assert seen.shape == (size, size, 3) and labels.shape == (size, size)
    assert seen.dtype == labels.dtype == np.uint8
    assert iou(seen[:, :, 0] > 127, labels == 1) > 0.85


def test_a_view_is_a_function_of_seed_and_key() -> None:
    image, mask = blob(70, 90)
    first = Augment().apply(image, mask, 64, 3, (1, 2))
    again = Augment().apply(image, mask, 64, 3, (1, 2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    for seed, key in ((4, (1, 2)), (3, (2, 1)), (3, (1, 2, 0)), (3, (1,))):
        assert not np.array_equal(first[0], Augment().apply(image, mask, 64, seed, key)[0])


def test_the_empty_key_only_resizes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    mask = np.random.default_rng(1).integers(0, 3, (80, 120), dtype=np.uint8)
    seen, labels = Augment().apply(image, mask, 40, 0, ())
    assert np.array_equal(seen, cv2.resize(image, (40, 40), interpolation=cv2.INTER_AREA))
    assert np.array_equal(seen, resize_image(image, 40)) and np.array_equal(labels, resize_mask(mask, 40))
    same, same_mask = Augment().apply(image[:, :80], mask[:, :80], 80, 5, ())
    assert np.array_equal(same, image[:, :80]) and np.array_equal(same_mask, mask[:, :80])
    assert not np.shares_memory(same, image)


def test_a_view_without_ranges_is_the_identity() -> None:
    image, mask = blob(90, 130)
    image[0] = image[:, 0] = 30
    for size in (64, 200):
        seen, labels = STILL.apply(image, mask, size, 0, (1,))
        still, still_labels = STILL.apply(image, mask, size, 0, ())
        assert np.abs(seen.astype(int) - still).max() <= 1
        assert np.array_equal(labels, still_labels)


def test_flips_are_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mask = image[:, :, 0] // 100
    flipped = STILL.model_copy(update={"flip_horizontal": 1.0})
    seen, labels = flipped.apply(image, mask, 32, 0, (1,))
    assert np.array_equal(seen, image[:, ::-1]) and np.array_equal(labels, mask[:, ::-1])
    upside = STILL.model_copy(update={"flip_vertical": 1.0}).apply(image, mask, 32, 0, (1,))
    assert np.array_equal(upside[0], image[::-1]) and np.array_equal(upside[1], mask[::-1])


def test_rotation_stays_in_range_and_keeps_proportions() -> None:
    image, mask = blob(100, 200)
    mask[:] = 0
    mask[48:52, 40:160] = 1
    turned = STILL.model_copy(update={"rotation": 15.0})
    angles = []
    for view in range(40):
        rows, columns = np.nonzero(turned.apply(image, mask, 200, 0, (view,))[1])
        slope = np.polyfit(columns, rows / 2, 1)[0]  # undo the squash: rows were stretched by two
        angles.append(np.rad2deg(np.arctan(slope)))
    assert max(map(abs, angles)) <= 15.5 and np.std(angles) > 5


def test_photometry_leaves_the_mask_and_black_alone() -> None:
    image, mask = blob(64, 64)
    image[image == 0] = 60
    image[:8] = 0
    loud = STILL.model_copy(update={"gamma": 0.5, "contrast": 0.3, "speckle": 0.3})
    seen, labels = loud.apply(image, mask, 64, 0, (7,))
    assert np.array_equal(labels, mask) and not seen[:8].any()
    assert seen[20:].std() != image[20:].std()
    assert np.array_equal(seen[:, :, 0], seen[:, :, 2])  # grey stays grey


def test_masks_hold_no_new_labels() -> None:
    mask = np.zeros((90, 90), np.uint8)
    mask[20:50, 20:50], mask[50:80, 50:80] = 7, 200
    image = np.zeros((90, 90, 3), np.uint8)
    for view in range(10):
        assert set(np.unique(Augment().apply(image, mask, 41, 0, (view,))[1])) <= {0, 7, 200}


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        Augment().apply(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), 8, 0, ())


def test_generators_of_other_integers_differ() -> None:
    draws = {generator(*key).random() for key in [(), (0,), (0, 0), (1, 2), (1, 2, 0), (12,), (2, 1)]}
    assert len(draws) == 7
