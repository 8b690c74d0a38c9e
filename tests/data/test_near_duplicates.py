"""Near-duplicates: copies are found in every orientation, other pictures are not, and chains are one group."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.data import near_duplicates
from components.core.data.fingerprints import SIDE, coarse, fingerprint, orientations
from components.core.data.images import read_image
from components.core.data.near_duplicates import THRESHOLD, clusters, infer_groups


def picture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((60, 80)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 20, 215, cv2.NORM_MINMAX).astype(np.uint8)


def turned(grey: np.ndarray, orientation: int) -> np.ndarray:
    """The orientations by numpy's own operations on the picture, not on the fingerprint."""
    view = np.rot90(grey, orientation % 4)
    return np.ascontiguousarray(view[:, ::-1] if orientation >= 4 else view)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The naive one: every orientation, in floating point."""
    best = -1.0
    for orientation in range(8):
        view = turned(one.reshape(SIDE, SIDE), orientation).reshape(-1).astype(np.float64)
        norm = float(np.linalg.norm(view) * np.linalg.norm(other.astype(np.float64)))
        best = max(best, float(view @ other) / norm if norm else -1.0)
    return best


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    labels = clusters(np.stack([fingerprint(one), fingerprint(other)]))
    return bool(labels[0] == labels[1])


CHANGES = {
    "brighter": lambda x: np.clip(x.astype(np.int64) + 40, 0, 255),
    "darker": lambda x: x * 0.5,
    "contrast": lambda x: np.clip((x.astype(np.float64) - 128) * 1.4 + 128, 0, 255),
    "resized": lambda x: cv2.resize(x, (150, 100)),
    "shifted by 1 %": lambda x: np.roll(x, 1, axis=1),
    "cropped": lambda x: x[1:-1, 1:-1],
    "compressed": lambda x: cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0),
    "written on": lambda x: cv2.rectangle(x.copy(), (2, 2), (12, 6), 255, -1),
    "colour": lambda x: np.repeat(x[:, :, None], 3, axis=2),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("orientation", range(8))
def test_copies_are_found_in_every_orientation(change: str, orientation: int) -> None:
    for seed in (1, 2, 3):
        copy = np.asarray(CHANGES[change](picture(seed)), dtype=np.uint8)
        assert alike(picture(seed), turned(copy, orientation))


def test_other_pictures_are_not_copies() -> None:
    prints = np.stack([fingerprint(picture(seed)) for seed in range(60)])
    assert clusters(prints).tolist() == list(range(60))
    assert alike(np.stack([picture(3), picture(1), picture(4)]), picture(1))  # a volume's middle plane
    assert not alike(np.stack([picture(1), picture(3), picture(4)]), picture(1))


def test_blank_pictures_are_one_source_and_like_no_other() -> None:
    blanks = [np.full((50, 40), level, np.uint8) for level in (0, 7, 255)] + [np.full((9, 9), 0.3, np.float32)]
    assert {fingerprint(blank).any() for blank in blanks} == {np.False_}
    labels = clusters(np.stack([fingerprint(item) for item in [picture(1), *blanks]]))
    assert labels.tolist() == [0, 1, 1, 1, 1]


def test_the_orientations_are_those_of_the_square() -> None:
    square = np.random.default_rng(0).integers(0, 99, (SIDE, SIDE))
    made = {square.reshape(-1)[places].tobytes() for places in orientations(SIDE)}
    assert made == {turned(square, orientation).reshape(-1).tobytes() for orientation in range(8)} and len(made) == 8


def test_coarse_products_are_exact() -> None:
    small = coarse(np.stack([fingerprint(picture(seed)) for seed in range(40)]))
    assert np.array_equal((small @ small.T).astype(np.int64), small.astype(np.int64) @ small.astype(np.int64).T)


@st.composite
def families(draw: st.DrawFn) -> np.ndarray:
    """Fingerprints of pictures, of mixtures of two of them (chains) and of turned ones."""
    rows = []
    for _ in range(draw(st.integers(1, 24))):
        one, other = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        share = draw(st.sampled_from([0.0, 0.25, 0.4, 0.5, 0.6]))
        mixed = (1 - share) * picture(one) + share * picture(other)
        rows.append(fingerprint(turned(mixed.astype(np.float32), draw(st.integers(0, 7)))))
    return np.stack(rows)


@settings(max_examples=25, deadline=None)
@given(families(), st.sampled_from([0.75, THRESHOLD, 0.9]))
def test_clusters_are_connected_components(prints: np.ndarray, threshold: float) -> None:
    reach = np.array([[correlation(one, other) >= threshold for other in prints] for one in prints])
    for middle in range(len(prints)):  # Warshall
        reach |= reach[:, [middle]] & reach[[middle], :]
    assert clusters(prints, threshold).tolist() == [int(np.argmax(row)) for row in reach]


def test_blocks_and_tiles_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = np.stack([fingerprint(turned(picture(seed % 17), seed % 8)) for seed in range(60)])
    whole = clusters(prints).tolist()
    assert whole == [row % 17 for row in range(60)]
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "TILE", 11)
    monkeypatch.setattr(near_duplicates, "CLOSE", 3)
    assert clusters(prints).tolist() == whole


def test_groups_do_not_depend_on_order() -> None:
    pictures = [picture(seed) for seed in (1, 2, 1, 3, 2)]
    ids = ["b", "c", "a", "e", "d"]
    prints = [fingerprint(item) for item in pictures]
    found = infer_groups(ids, [None] * 5, prints)
    assert found.groups == ["like a", "like c", "like a", "like e", "like c"]
    assert found.leaders == ["a", "c", "a", "e", "c"]
    backwards = infer_groups(ids[::-1], [None] * 5, prints[::-1])
    assert (backwards.groups, backwards.leaders) == (found.groups[::-1], found.leaders[::-1])


def test_a_case_without_group_joins_its_likes() -> None:
    prints = [fingerprint(picture(seed)) for seed in (1, 1, 2)]
    found = infer_groups(["a", "b", "c"], [None, "patient-1", None], prints)
    assert found.groups == ["patient-1", "patient-1", "like c"]


@pytest.mark.skipif(not os.environ.get("THAW_SAMPLE_DATA"), reason="THAW_SAMPLE_DATA names no sample data")
def test_brightened_leaves_fall_to_their_originals_and_no_others_do() -> None:
    folder = Path(os.environ["THAW_SAMPLE_DATA"]) / "plant_leaf_8cls"
    if not folder.is_dir():
        pytest.skip("the sample data have no leaves")
    files = sorted(folder.glob("*/*.JPG"))
    labels = clusters(np.stack([fingerprint(read_image(file)) for file in files]))
    expected = [file.with_name(file.name.replace("_newPixel25", "")) for file in files]
    first = {name: expected.index(name) for name in expected}
    assert labels.tolist() == [first[name] for name in expected]
