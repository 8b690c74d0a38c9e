"""Synthetic leaves: functions of their numbers, alike within a leaf, and no matter of colour alone."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

from components.core.data.describe import is_synthetic
from components.core.data.fingerprints import fingerprint
from components.core.data.near_duplicates import clusters
from components.recipes.hvit.data import HVitData
from components.recipes.hvit.leaves import CONDITIONS
from components.recipes.hvit.synthetic import Synthetic, condition, draw, shots

SETTINGS = Synthetic(images=160, unlabelled=0, size=64)
SHOTS = list(shots(SETTINGS))
PICTURES = [draw(SETTINGS, shot) for shot in SHOTS]


def test_pictures_are_functions_of_the_numbers() -> None:
    assert np.array_equal(draw(SETTINGS, SHOTS[7]), PICTURES[7])
    assert PICTURES[0].shape == (64, 64, 3) and PICTURES[0].dtype == np.uint8
    assert len({picture.tobytes() for picture in PICTURES}) == len(PICTURES)
    other = Synthetic(images=160, unlabelled=0, size=64, seed=1)
    assert not np.array_equal(draw(other, next(shots(other))), PICTURES[0])


def test_classes_are_balanced_and_leaves_photographed_several_times() -> None:
    counts = Counter(condition(SETTINGS, shot.leaf) for shot in SHOTS)
    assert set(counts) == set(CONDITIONS) and min(counts.values()) > 20
    assert set(Counter(shot.leaf for shot in SHOTS).values()) == {1, 2, 3}
    assert {condition(Synthetic(classes=2), leaf) for leaf in range(9)} == {"healthy", "spots"}


def test_an_edited_copy_is_found_again_and_another_pose_is_not() -> None:
    several = [row for row, shot in enumerate(SHOTS) if shot.number == 2]
    assert several
    for row in several:
        labels = clusters(np.stack([fingerprint(picture) for picture in PICTURES[row - 2 : row + 1]]))
        assert labels.tolist() == [0, 1, 0]
    labels = clusters(np.stack([fingerprint(picture) for picture in PICTURES]))
    assert len(set(labels.tolist())) == len(PICTURES) - len(several)


def histograms(picture: np.ndarray) -> np.ndarray:
    planes = [*np.moveaxis(picture, 2, 0), *np.moveaxis(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV), 2, 0)]
    return np.concatenate([np.histogram(plane, 16, (0, 256))[0] for plane in planes]) ** 0.5


def test_colours_alone_do_not_tell_the_classes() -> None:
    features = np.stack([histograms(picture) for picture in PICTURES])
    labels = [condition(SETTINGS, shot.leaf) for shot in SHOTS]
    folds = StratifiedGroupKFold(4)
    forest = RandomForestClassifier(100, random_state=0)
    scores = cross_val_score(forest, features, labels, groups=[shot.leaf for shot in SHOTS], cv=folds)
    assert scores.mean() < 0.45  # chance is 0.2


@pytest.mark.parametrize("size", [32, 200])
def test_every_size_can_be_drawn(size: int) -> None:
    settings = Synthetic(images=12, unlabelled=0, size=size)
    assert {draw(settings, shot).shape for shot in shots(settings)} == {(size, size, 3)}


def test_what_is_written_is_read_and_says_what_it_is(tmp_path: Path) -> None:
    data = HVitData(synthetic=Synthetic(images=20, unlabelled=5, size=32, classes=3))
    reader = data.synthesize(tmp_path)
    assert is_synthetic(tmp_path)
    cases = reader.read(tmp_path)
    assert [case.labelled for case in cases] == [True] * 20 + [False] * 5
    assert {case.stratum for case in cases} == {"", "healthy", "spots", "rings"}
    labelled = {case.group for case in cases if case.labelled}
    assert labelled.isdisjoint({case.group for case in cases if not case.labelled})
    drawn = [draw(data.synthetic, shot) for shot in shots(data.synthetic)]
    assert all(np.array_equal(case.load()["image"], picture) for case, picture in zip(cases, drawn, strict=True))
