"""The linear probe and the diagnosis of collapse, on features whose answer is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from components.core.contrastive.collapse import effective_rank
from components.core.contrastive.probe import fit_probe, judgeable, probe_accuracy

RANDOM = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 20)
TELLING = np.eye(3)[LABELS] * 5 + RANDOM.standard_normal((60, 3))
NOISE = RANDOM.standard_normal((60, 3))
ALONE = [str(row) for row in range(60)]


def test_a_probe_is_logistic_regression_on_standardised_features() -> None:
    scaled = StandardScaler().fit(TELLING * [1, 100, 0.01])
    expected = LogisticRegression(max_iter=5000).fit(scaled.transform(TELLING * [1, 100, 0.01]), LABELS)
    found = fit_probe(TELLING * [1, 100, 0.01], LABELS)(TELLING[:7] * [1, 100, 0.01])
    np.testing.assert_allclose(found, expected.predict_proba(scaled.transform(TELLING[:7] * [1, 100, 0.01])))
    assert found.sum(axis=1) == pytest.approx(np.ones(7))


def test_a_class_without_samples_is_never_predicted() -> None:
    found = fit_probe(TELLING[:40], LABELS[:40] * 2, classes=4)(TELLING)
    assert found.shape == (60, 4)
    assert not found[:, [1, 3]].any() and (found[:, [0, 2]] > 0).all()
    assert fit_probe(TELLING[:5], np.zeros(5, dtype=int), classes=2)(TELLING[:2]).tolist() == [[1, 0], [1, 0]]
    assert fit_probe(TELLING, LABELS)(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(("labels", "classes"), [([0, 3], 2), ([-1, 0], None), ([], 2)])
def test_labels_that_are_no_classes_are_refused(labels: list[int], classes: int | None) -> None:
    with pytest.raises(ValueError, match="labels must be"):
        fit_probe(np.zeros((len(labels), 3)), np.array(labels, dtype=np.int64), classes)


def test_telling_features_are_told_from_noise() -> None:
    told, guessed = (probe_accuracy(features, LABELS, ALONE, folds=5) for features in (TELLING, NOISE))
    assert told is not None and told > 0.9
    assert guessed is not None and guessed < 0.5
    assert probe_accuracy(TELLING, LABELS, ALONE, folds=5) == told


def test_a_group_is_never_both_fitted_on_and_judged() -> None:
    """Features that only name their group are worth nothing on other groups, and everything on the same ones."""
    groups = np.arange(60) // 2
    features = np.eye(30)[groups]
    shuffled = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], 10))[groups]
    leaking = probe_accuracy(features, shuffled, ALONE, folds=5)
    honest = probe_accuracy(features, shuffled, [str(group) for group in groups], folds=5)
    assert leaking is not None and honest is not None
    assert leaking > 0.7 and honest < 0.5


def test_unknown_labels_and_classes_of_one_group_are_left_out() -> None:
    labels = LABELS.copy()
    labels[::2] = -1
    labels[[1, 3]] = 3
    groups = ["same" if label == 3 else name for label, name in zip(labels, ALONE, strict=True)]
    kept, rarest = judgeable(labels, np.unique(groups, return_inverse=True)[1])
    assert sorted(set(labels[kept].tolist())) == [0, 1, 2]
    assert rarest == 8
    assert probe_accuracy(TELLING, labels, groups, folds=5) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("labels", [np.full(60, -1), np.zeros(60, dtype=np.int64), np.r_[np.zeros(59, dtype=int), 1]])
def test_without_two_classes_there_is_nothing_to_tell(labels: np.ndarray) -> None:
    assert probe_accuracy(TELLING, labels, ALONE, folds=5) is None


def test_few_groups_make_few_folds() -> None:
    assert probe_accuracy(TELLING, LABELS, [str(row % 2) for row in range(60)], folds=5) == pytest.approx(1.0, abs=0.1)


def test_the_effective_rank_counts_directions() -> None:
    orthogonal = np.eye(6)
    assert effective_rank(orthogonal) == pytest.approx(6)
    assert effective_rank(orthogonal[:, :4] * 3) == pytest.approx(4)
    shares = np.array([4, 2, 1, 1]) / 8
    entropy = -(shares * np.log(shares)).sum()
    assert effective_rank(np.diag([4.0, 2.0, 1.0, 1.0])) == pytest.approx(np.exp(entropy))


def test_a_collapsed_encoder_has_rank_one() -> None:
    same = np.tile(RANDOM.standard_normal(16), (50, 1))
    assert effective_rank(same) == pytest.approx(1)
    assert effective_rank(same + 1e-3 * RANDOM.standard_normal((50, 16))) < 1.1
    assert effective_rank(RANDOM.standard_normal((50, 16))) > 10
    assert effective_rank(np.zeros((5, 3))) == 0
