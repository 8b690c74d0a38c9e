"""Multi-label metrics against scikit-learn, CRG against cases by hand, and what is undefined staying out of means."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from components.core.metrics.crg import crg
from components.core.metrics.multilabel import BY_LABEL, macro, statistics
from components.core.metrics.operating_point import apply_shifts, fit_shifts

LABELS = ["Lung nodule", "Emphysema", "Atelectasis"]


def evidence(seed: int = 0, n: int = 60, labels: int = 3) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = (random.random((n, labels)) < 0.3).astype(float)
    probability = np.round(np.clip(0.35 * truth + random.random((n, labels)) * 0.65, 0, 1), 2)  # rounded: ties
    return {"truth": truth, "probability": probability}


ORACLES = {
    "auroc": sklearn_metrics.roc_auc_score,
    "auprc": sklearn_metrics.average_precision_score,
    "f1": lambda y, p: sklearn_metrics.f1_score(y, p >= 0.5),
    "precision": lambda y, p: sklearn_metrics.precision_score(y, p >= 0.5),
    "recall": lambda y, p: sklearn_metrics.recall_score(y, p >= 0.5),
    "accuracy": lambda y, p: sklearn_metrics.accuracy_score(y, p >= 0.5),
}


@pytest.mark.parametrize("name", list(BY_LABEL))
def test_metrics_are_scikit_learns(name: str) -> None:
    found = evidence()
    expected = [ORACLES[name](found["truth"][:, i], found["probability"][:, i]) for i in range(3)]
    np.testing.assert_allclose(BY_LABEL[name](found), expected)
    assert statistics(LABELS)[f"{name}_macro"](found) == pytest.approx(np.mean(expected))
    assert statistics(LABELS)[f"{name}:Emphysema"](found) == pytest.approx(expected[1])


@pytest.mark.parametrize("name", list(BY_LABEL))
def test_unknown_labels_are_left_out(name: str) -> None:
    found = evidence()
    found["truth"][::4, 1] = np.nan
    known = ~np.isnan(found["truth"][:, 1])
    expected = ORACLES[name](found["truth"][known, 1], found["probability"][known, 1])
    assert BY_LABEL[name](found)[1] == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_label_with_one_side_never_reaches_a_mean(value: float) -> None:
    found = evidence()
    found["truth"][:, 2] = value
    by_label = BY_LABEL["auroc"](found)
    assert math.isnan(by_label[2])
    assert statistics(LABELS)["auroc_macro"](found) == pytest.approx(by_label[:2].mean())
    if value == 0:
        assert all(math.isnan(BY_LABEL[name](found)[2]) for name in ("auprc", "f1", "recall"))


def test_without_positives_everything_is_undefined() -> None:
    found = {"truth": np.zeros((5, 2)), "probability": np.full((5, 2), 0.3)}
    told = statistics(["a", "b"])
    assert all(math.isnan(told[name](found)) for name in ("auroc_macro", "auprc_macro", "f1_macro", "crg"))
    assert told["accuracy_macro"](found) == 1.0
    assert math.isnan(macro(np.array([])))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # 2 labels x 5 volumes, 2 positives: r = (10 - 2) / 4 = 2, U = 4.
        ({"tp": 2, "fp": 0, "fn": 0}, 1.0),  # s = 4: 4 / (8 - 4)
        ({"tp": 0, "fp": 0, "fn": 2}, 4 / 12),  # s = -4
        ({"tp": 1, "fp": 0, "fn": 1}, 0.5),  # s = 0
        ({"tp": 2, "fp": 8, "fn": 0}, 4 / 12),  # everything called: s = 4 - 8
        ({"tp": 1, "fp": 3, "fn": 1}, 4 / 11),  # s = -3
    ],
)
def test_crg_by_hand(counts: dict[str, float], expected: float) -> None:
    assert crg(**counts, decisions=10) == pytest.approx(expected)


def test_crg_of_evidence_counts_every_known_label() -> None:
    truth = np.array([[1, 0], [0, 0], [0, 1], [0, 0], [0, 0], [np.nan, np.nan]])
    probability = np.array([[0.9, 0.1], [0.6, 0.1], [0.7, 0.2], [0.1, 0.8], [0.2, 0.3], [0.9, 0.9]])
    assert statistics(["a", "b"])["crg"]({"truth": truth, "probability": probability}) == pytest.approx(4 / 11)


def test_the_operating_point_moves_to_one_half() -> None:
    found = evidence(n=200)
    low = found["probability"] * 0.2  # nothing would be called present
    shifts = fit_shifts(found["truth"], low)
    moved = apply_shifts(low, shifts)
    for label in range(3):
        y = found["truth"][:, label]
        best = max(sklearn_metrics.f1_score(y, low[:, label] >= level) for level in np.unique(low[:, label]))
        assert sklearn_metrics.f1_score(y, moved[:, label] >= 0.5) == pytest.approx(best)
        assert (np.argsort(moved[:, label], kind="stable") == np.argsort(low[:, label], kind="stable")).all()


def test_labels_that_tell_nothing_keep_their_logits() -> None:
    truth = np.array([[1.0, 0.0, np.nan], [1.0, 0.0, np.nan], [1.0, 0.0, np.nan]])
    assert (fit_shifts(truth, np.full((3, 3), 0.2)) == 0).all()


def test_of_equal_thresholds_the_nearest_to_one_half() -> None:
    truth = np.array([[1.0], [1.0], [0.0], [0.0]])
    separated = np.array([[0.9], [0.8], [0.3], [0.1]])
    moved = apply_shifts(separated, fit_shifts(truth, separated))
    assert (moved[:2] > 0.5).all() and (moved[2:] < 0.5).all()
