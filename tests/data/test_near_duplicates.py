"""Near-duplicates: slight changes are found, other pictures are not, and chains are one group."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from components.core.data.near_duplicates import THRESHOLD, clusters, difference_hash, infer_groups


def picture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((60, 80)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(difference_hash(one) ^ difference_hash(other)).sum())


def test_hash_is_the_naive_one() -> None:
    grey = picture(0)
    small = cv2.resize(grey.astype(np.float32), (17, 16), interpolation=cv2.INTER_AREA)
    naive = [small[row, column + 1] > small[row, column] for row in range(16) for column in range(16)]
    assert np.array_equal(np.unpackbits(difference_hash(grey).view(np.uint8)).astype(bool), naive)


def test_what_is_alike() -> None:
    grey = picture(1)
    bright = np.clip(grey.astype(np.int64) + 12, 0, 255).astype(np.uint8)
    resized = cv2.resize(grey, (150, 100))
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    assert max(distance(grey, bright), distance(grey, resized), distance(grey, rgb)) <= THRESHOLD
    assert distance(grey, picture(2)) > 2 * THRESHOLD
    assert distance(np.stack([picture(3), grey, picture(4)]), grey) == 0  # a volume's middle plane


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint64, st.tuples(st.integers(1, 40), st.just(4)), elements=st.integers(0, 255)), st.integers(0, 12))
def test_clusters_are_connected_components(hashes: np.ndarray, threshold: int) -> None:
    near = np.array([[sum(int(a ^ b).bit_count() for a, b in zip(x, y, strict=True)) for y in hashes] for x in hashes])
    reach = near <= threshold
    for middle in range(len(hashes)):  # Warshall
        reach |= reach[:, [middle]] & reach[[middle], :]
    assert clusters(hashes, threshold).tolist() == [int(np.argmax(row)) for row in reach]


def test_blocks_meet() -> None:
    hashes = np.zeros((700, 4), np.uint64)
    hashes[:, 0] = np.random.default_rng(0).integers(0, 2**7, 700)
    hashes[350:, 1:] = 2**64 - 1
    assert clusters(hashes).tolist() == [0] * 350 + [350] * 350


def test_groups_do_not_depend_on_order() -> None:
    pictures = [picture(seed) for seed in (1, 2, 1, 3, 2)]
    ids = ["b", "c", "a", "e", "d"]
    hashes = [difference_hash(item) for item in pictures]
    groups = infer_groups(ids, [None] * 5, hashes)
    assert groups == ["like a", "like c", "like a", "like e", "like c"]
    backwards = infer_groups(ids[::-1], [None] * 5, hashes[::-1])
    assert backwards == groups[::-1]


def test_a_case_without_group_joins_its_likes() -> None:
    hashes = [difference_hash(picture(seed)) for seed in (1, 1, 2)]
    assert infer_groups(["a", "b", "c"], [None, "patient-1", None], hashes) == ["patient-1", "patient-1", "like c"]
